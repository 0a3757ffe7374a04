//! Access tokens by an OAuth client that nobody here wrote, the crate `oauth2`, over mutual TLS.

use docyard_test_support::dev::{Dev, send};
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AccessToken, AuthType, Client, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, RequestTokenError, RevocationUrl, Scope, StandardRevocableToken, StandardTokenResponse,
    TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::institution::recipe_with_certificate;
use crate::{policy_in_force, post, recipient_of, text};

/// What our token responses have beside the fields of RFC 6749.
#[derive(Debug, Deserialize, Serialize)]
struct Extra {
    factors: Vec<String>,
}

impl oauth2::ExtraTokenFields for Extra {}

type Issued = StandardTokenResponse<Extra, BasicTokenType>;
type Refusal = RequestTokenError<reqwest::Error, BasicErrorResponse>;
type OAuthClient = Client<
    BasicErrorResponse,
    Issued,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointSet,
>;

/// A lender whose certificate is registered, and who needs it: its id and its passphrase.
async fn lender(dev: &Dev) -> (String, String) {
    policy_in_force(dev, recipe_with_certificate()).await;
    let recipient = recipient_of(dev, "mortgagee", "a", json!({"lender_id": "LND-1"})).await;
    let id = text(&recipient["id"]).to_owned();
    let certificates = format!("/v1/recipients/{id}/certificates");
    let pem = std::fs::read_to_string(format!("{}/client.pem", dev.variable("DOCYARD_TLS_DIR"))).unwrap();
    let body = json!({"name": "A certificate", "certificate": pem});
    post(dev, &certificates, body).await.expect(201);
    let (_, passphrase) = dev.secret(&id).await;
    (id, passphrase)
}

fn oauth_client(dev: &Dev, id: &str, passphrase: &str, authentication: AuthType) -> OAuthClient {
    Client::new(ClientId::new(id.to_owned()))
        .set_client_secret(ClientSecret::new(passphrase.to_owned()))
        .set_auth_type(authentication)
        .set_token_uri(TokenUrl::new(format!("{}/v1/auth/token", dev.mutual_tls_url)).unwrap())
        .set_revocation_url(RevocationUrl::new(format!("{}/v1/auth/revoke", dev.mutual_tls_url)).unwrap())
}

/// Sends what the crate asks to send.
async fn carry(http: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let response = http.execute(request.try_into()?).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut carried = HttpResponse::new(response.bytes().await?.to_vec());
    (*carried.status_mut(), *carried.headers_mut()) = (status, headers);
    Ok(carried)
}

async fn issue(client: &OAuthClient, http: &reqwest::Client) -> Result<Issued, Refusal> {
    let scope = Scope::new("retrieval".to_owned());
    let request = client.exchange_client_credentials().add_scope(scope);
    request.request_async(&|request| carry(http, request)).await
}

/// The code and the description of a refusal.
#[track_caller]
fn refused(issued: Result<Issued, Refusal>) -> (BasicErrorResponseType, String) {
    match issued {
        Err(RequestTokenError::ServerResponse(error)) => {
            (error.error().clone(), error.error_description().unwrap().clone())
        }
        Err(other) => panic!("no refusal to the crate: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

/// What a token opens over a connection.
async fn opens(dev: &Dev, http: &reqwest::Client, token: &AccessToken) -> (u16, Value) {
    let path = format!("{}/v1/retrieval/access", dev.mutual_tls_url);
    let answer = send(http.get(path).bearer_auth(token.secret())).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn an_oauth_client_gets_uses_and_revokes_a_token_over_mutual_tls() {
    let dev = Dev::start().await;
    let (id, passphrase) = lender(&dev).await;
    let (registered, stranger) = (dev.tls_client("client"), dev.tls_client("stranger"));
    for authentication in [AuthType::RequestBody, AuthType::BasicAuth] {
        let client = oauth_client(&dev, &id, &passphrase, authentication);
        let issued = issue(&client, &registered).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(issued.token_type(), &BasicTokenType::Bearer);
        assert_eq!(issued.expires_in().unwrap().as_secs(), 3600);
        assert_eq!(issued.scopes().unwrap(), &[Scope::new("retrieval".to_owned())]);
        assert_eq!(issued.extra_fields().factors, ["shared_passphrase", "tls_certificate"]);
        assert!(issued.refresh_token().is_none());

        let token = issued.access_token();
        let (status, access) = opens(&dev, &registered, token).await;
        assert_eq!((status, text(&access["recipientId"])), (200, id.as_str()));
        assert_eq!(opens(&dev, &stranger, token).await.0, 401, "it is bound to the certificate");

        let revocation = client.revoke_token(token.into()).unwrap();
        revocation.request_async(&|request| carry(&registered, request)).await.unwrap();
        assert_eq!(opens(&dev, &registered, token).await.0, 401);
        let again = client.revoke_token(token.into()).unwrap();
        again.request_async(&|request| carry(&registered, request)).await.unwrap();
    }
}

#[tokio::test]
async fn an_oauth_client_understands_why_it_gets_no_token() {
    let dev = Dev::start().await;
    let (id, passphrase) = lender(&dev).await;
    let (registered, stranger) = (dev.tls_client("client"), dev.tls_client("stranger"));
    let wrong = "dk_sec_00000000000000000000000000000000";
    for authentication in [AuthType::RequestBody, AuthType::BasicAuth] {
        let client = oauth_client(&dev, &id, &passphrase, authentication.clone());
        let (code, description) = refused(issue(&client, &stranger).await);
        assert_eq!(code, BasicErrorResponseType::UnauthorizedClient);
        assert!(description.contains("certificate"), "{description}");

        let client = oauth_client(&dev, &id, wrong, authentication.clone());
        for http in [&registered, &stranger] {
            let (code, _) = refused(issue(&client, http).await);
            assert_eq!(code, BasicErrorResponseType::InvalidClient);
        }

        let client = oauth_client(&dev, &id, &passphrase, authentication);
        let scope = Scope::new("administration".to_owned());
        let request = client.exchange_client_credentials().add_scope(scope);
        let (code, _) = refused(request.request_async(&|request| carry(&registered, request)).await);
        assert_eq!(code, BasicErrorResponseType::InvalidScope);
    }
}
