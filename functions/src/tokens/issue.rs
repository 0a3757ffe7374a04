//! `POST /v1/auth/token`: issues an access token for a passphrase, by the client credentials grant of OAuth 2.0
//! ([RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)) with mutual TLS
//! ([RFC 8705](https://www.rfc-editor.org/rfc/rfc8705)).
//!
//! Takes `grant_type`, `client_id` and `client_secret`, and optionally `scope` and `identifiers`, as a form or as JSON. The
//! certificate is that of the connection; if it is one of the recipient's, the token is bound to it. Returns 200 and the
//! token, if a policy in force grants anything. Errors are those of RFC 6749 §5.2. A recipient whose passphrase is right
//! may ask 60 times a minute, and submit 10 different sets of identifiers in 24 hours; an eleventh one gets what a value
//! that does not match gets.
//!
//! Whatever is wrong with id or passphrase, there are the same calls of DynamoDB, the same hashing and the same answer.
//!
//! Three round trips to DynamoDB: reads all that is active of the recipient, and what it submitted before; then counts the
//! request and what it submits, and reads the recipient and the policies in force for its class; then writes the token.

use docyard_core::context::Context;
use docyard_core::model::access::{Opening, Proof, Shortfall};
use docyard_core::model::certificate::TrustedCertificate;
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::recipe::Factor;
use docyard_core::model::secret;
use docyard_core::model::token::{AccessToken, TokenKind, TokenRecord, factors};
use docyard_core::store::{Fault, ReadSubmissions, seconds_left_of_minute};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::digest::Digest;
use docyard_core::values::id::{RecipientId, TokenId};
use docyard_core::values::json::Json;
use docyard_core::values::random;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;

use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, OAuthCode};
use crate::http::oauth::{self, Client, Parameters};
use crate::http::{auth, refusal, response};
use crate::metrics;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "issue-token": Post "/v1/auth/token",
    description: "Issue an access token",
    memory: 128,
    credentials: [],
    connections: 4,
    grants: [
        BatchGetItem on [Dock, Groups, Token],
        Query on [Policies, Recipient],
        UpdateItem on [Token],
        PutItem on [Audit, AuditEntity, Token],
    ],
    needs: [SubmissionKey],
};

const GRANT_TYPE: &str = "client_credentials";
const SCOPE: &str = "retrieval";

const INVALID_CLIENT: &str =
    "client_id must be the id of a recipient, and client_secret one of its active secrets";
const NOT_REGISTERED: &str = "The certificate of this connection is not registered for this recipient.";

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "OAuth 2.0 client credentials (RFC 6749 §4.4) with mutual TLS (RFC 8705). `client_id` is the recipient's id and \
             `client_secret` the passphrase, in the body or by HTTP Basic. The body may also be JSON. If the connection's \
             certificate is registered for the recipient, the token is bound to it. Unknown parameters are ignored, empty \
             ones are absent.",
        )
        .form::<Form>(serde_json::json!({
            "grant_type": GRANT_TYPE,
            "client_id": "rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y",
            "client_secret": "dk_sec_7f2a9b4c1e8d3f6a0b5c2d9e4f7a1b8c",
        }))
        .response::<Output>(200, "The token, which this response alone shows")
        .oauth_errors()
        .too_many_requests()
}

/// The parameters, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = TokenRequest)]
#[expect(dead_code, reason = "`Input::read` reads the body")]
struct Form {
    #[schema(pattern = "^client_credentials$", example = "client_credentials")]
    grant_type: String,
    /// The id of the recipient; absent with HTTP Basic.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The passphrase; absent with HTTP Basic.
    #[schema(nullable = false)]
    client_secret: Option<String>,
    /// Identifiers that are submitted at access time: a JSON object of texts, as text in a form. They are fixed for the
    /// token's life.
    #[schema(nullable = false)]
    identifiers: Option<String>,
    #[schema(nullable = false, pattern = "^(retrieval)?$")]
    scope: Option<String>,
}

struct Input {
    client: Client,
    submitted: Identifiers,
}

impl Input {
    fn read(request: &Request, now: Timestamp) -> Result<Self, Error> {
        let mut parameters = Parameters::read(request)?;
        let client = parameters.take_client(request)?;
        if parameters.take_required("grant_type")? != GRANT_TYPE {
            return Err(oauth::error(
                OAuthCode::UnsupportedGrantType,
                "grant_type must be client_credentials",
            ));
        }
        if parameters.take_text("scope")?.is_some_and(|scope| scope != SCOPE) {
            return Err(oauth::error(OAuthCode::InvalidScope, "scope must be retrieval, or absent"));
        }
        let submitted = parameters.take("identifiers").map(|json| identifiers(json, now)).transpose()?;
        Ok(Self { client, submitted: submitted.unwrap_or_default() })
    }
}

/// The identifiers in an object, or in the text of one.
fn identifiers(json: Json, now: Timestamp) -> Result<Identifiers, Error> {
    const RULE: &str = "identifiers must be a JSON object of at most 50 strings, each by the rule of an identifier of a recipient";
    let malformed = || oauth::error(OAuthCode::InvalidRequest, RULE);
    let json = match json {
        Json::String(text) => serde_json::from_str(&text).map_err(|_| malformed())?,
        json => json,
    };
    Identifiers::parse(json, now.latest_date()).map_err(|_| malformed())
}

/// A token that was just issued.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AccessToken))]
struct Output<'a> {
    #[cfg_attr(feature = "openapi", schema(pattern = "^dk_tok_[0-9A-Z]{26}_[0-9A-Za-z]{49}$"))]
    access_token: &'a str,
    #[cfg_attr(feature = "openapi", schema(example = "Bearer"))]
    token_type: &'static str,
    /// In how many seconds it ends, at the latest.
    expires_in: u64,
    #[cfg_attr(feature = "openapi", schema(example = "retrieval"))]
    scope: &'static str,
    /// What was proven: the certificate exactly if the token is bound to it.
    factors: &'a [Factor],
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let now = context.now();
    let Input { client, submitted } = Input::read(request, now)?;
    let connection = auth::connection_certificate(request);
    let passphrase = Digest::of(&client.secret);
    // A malformed id is looked up like any that does not exist.
    let recipient = RecipientId::parse(&client.id);
    let recipient = recipient.unwrap_or_else(|| RecipientId::generate(now, &mut random::system()));
    let submits = !submitted.entries().is_empty();

    let (active, before) = tokio::try_join!(context.store.active_recipient(recipient), async {
        if submits { context.store.submissions(recipient).await } else { Ok(ReadSubmissions::default()) }
    })?;
    let invalid_client = || {
        let code = OAuthCode::InvalidClient { by_header: client.by_header };
        oauth::error(code, INVALID_CLIENT)
    };
    let active = active.ok_or_else(invalid_client)?;
    let verified = secret::verify(&active.items.secrets, &passphrase, now).ok_or_else(invalid_client)?;
    let (secret_id, secret_end) = (verified.id, verified.expires_at);
    context.record.set_account(active.pointer.account);
    context.record.add_id(recipient);
    context.record.add_id(secret_id);

    let is_shown =
        |it: &&TrustedCertificate| Some(&it.thumbprint) == connection.as_ref() && !it.is_expired(now);
    let registered = active.items.certificates.iter().find(is_shown);
    let is_stranger = connection.is_some() && registered.is_none();
    let certificate = registered.filter(|certificate| certificate.is_valid(now)).cloned();
    let generation = active.pointer.token_generation;
    let key =
        context.submission_key.as_ref().ok_or_else(|| Error::Internal(Fault::new("no submission key")))?;
    let set = key.digest(recipient, &submitted);
    let (may_ask, counts, found) = tokio::try_join!(
        context.store.count_token_request(recipient, now),
        async {
            if submits {
                context.store.count_submission(recipient, before, &set, now).await
            } else {
                Ok(true)
            }
        },
        context.store.subject(recipient, active, now),
    )?;
    if !may_ask {
        return Err(Error::TooManyRequests { retry_after: seconds_left_of_minute(now) });
    }
    let (subject, policies) = found.ok_or_else(invalid_client)?;
    let submitted = if counts { submitted } else { submitted.voided() };
    let factors = factors(certificate.is_some());
    let proof = Proof { method: None, factors, authenticated_at: now, submitted: &submitted };
    let opening = match Opening::of(&policies, &subject, &proof, now) {
        Ok(opening) => opening,
        Err(shortfall) => {
            refusal::record(context, &subject.recipient, secret_id, &shortfall).await?;
            return Err(oauth::error(OAuthCode::UnauthorizedClient, description(&shortfall, is_stranger)));
        }
    };

    let ends = [secret_end, certificate.as_ref().map(|certificate| certificate.not_after)];
    let token = TokenRecord {
        id: TokenId::generate(now, &mut random::system()),
        kind: TokenKind::Institution,
        recipient,
        dock: subject.recipient.dock,
        account: subject.recipient.account,
        generation,
        secret: secret_id,
        certificate: certificate.map(|certificate| certificate.id),
        authenticated_at: now,
        expires_at: ends.into_iter().flatten().fold(opening.session_ends_at(now), Timestamp::min),
        submitted,
    };
    let value = AccessToken::generate(recipient, &mut random::system());
    let entry = context.entry_of_recipient(token.account, recipient, token.issued());
    context.store.issue_token(&token, &value.digest(), &entry).await?;
    metrics::count(metrics::TOKENS_ISSUED);
    context.record.add_id(token.id);
    let output = Output {
        access_token: value.expose(),
        token_type: "Bearer",
        expires_in: token.expires_at.unix_milliseconds().saturating_sub(now.unix_milliseconds()) / 1000,
        scope: SCOPE,
        factors,
    };
    response::json(StatusCode::OK, &output)
}

/// What a recipient is told that no policy lets in: what is missing, and never which value is wrong.
fn description(shortfall: &Shortfall, is_stranger: bool) -> String {
    let mut sentences = vec![format!("{}.", response::NOT_GRANTED)];
    if !shortfall.factors.is_empty() {
        let factors: Vec<String> = shortfall.factors.iter().map(Factor::to_string).collect();
        sentences.push(format!("Missing factors: {}.", factors.join(", ")));
    }
    if !shortfall.identifiers.is_empty() {
        sentences.push(format!("Missing identifiers: {}.", shortfall.identifiers.join(", ")));
    }
    if is_stranger {
        sentences.push(NOT_REGISTERED.to_owned());
    }
    sentences.join(" ")
}
