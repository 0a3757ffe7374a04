"""An access token over mutual TLS, by Authlib: issued, used, refused and revoked."""

import os

from authlib.integrations.requests_client import OAuth2Session, OAuthError

WRONG = "dk_sec_" + 32 * "0"
url, directory = os.environ["DOCYARD_MUTUAL_TLS_URL"], os.environ["DOCYARD_TLS_DIR"]
recipient, passphrase = os.environ["DOCYARD_CLIENT_ID"], os.environ["DOCYARD_CLIENT_SECRET"]


def session(certificate, method, secret=passphrase, token=None):
    """A client that shows this certificate on its connections, and authenticates by this method."""
    client = OAuth2Session(
        recipient, secret, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method, token=token
    )
    client.trust_env = False  # a proxy or authorities of the environment are not for this server
    client.verify = f"{directory}/ca.pem"
    client.cert = (f"{directory}/{certificate}.pem", f"{directory}/{certificate}.key")
    return client


def issue(client):
    return client.fetch_token(f"{url}/v1/auth/token", grant_type="client_credentials", scope="retrieval")


def access(client):
    return client.get(f"{url}/v1/retrieval/access")


def refusal(client):
    """The error that the library makes of a refusal."""
    try:
        issue(client)
    except OAuthError as error:
        return error
    raise AssertionError("not refused")


for method in ("client_secret_post", "client_secret_basic"):
    client = session("client", method)
    token = issue(client)
    assert (token["token_type"], token["scope"]) == ("Bearer", "retrieval")
    assert token["expires_in"] > 0 and not token.is_expired(leeway=0)
    assert token["factors"] == ["shared_passphrase", "tls_certificate"], token["factors"]
    opened = access(client)
    assert (opened.status_code, opened.json()["recipientId"]) == (200, recipient), opened.status_code
    assert access(session("stranger", method, token=token)).status_code == 401, "it is bound to the certificate"

    unauthorized = refusal(session("stranger", method))
    assert unauthorized.error == "unauthorized_client", unauthorized
    assert "certificate" in unauthorized.description, unauthorized
    invalid = refusal(session("client", method, secret=WRONG))
    assert invalid.error == "invalid_client", invalid

    for _ in range(2):
        revoked = client.revoke_token(f"{url}/v1/auth/revoke", token["access_token"], "access_token")
        assert revoked.status_code == 200, revoked.status_code
    assert access(client).status_code == 401, "it was revoked"
