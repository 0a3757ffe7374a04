// An access token over mutual TLS, by openid-client: issued, used, refused and revoked.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as oauth from "openid-client";
import { Agent, fetch } from "undici";

const WRONG = `dk_sec_${"0".repeat(32)}`;
const { DOCYARD_MUTUAL_TLS_URL: url, DOCYARD_TLS_DIR: directory } = process.env;
const { DOCYARD_CLIENT_ID: recipient, DOCYARD_CLIENT_SECRET: passphrase } = process.env;

const file = (name) => readFileSync(`${directory}/${name}`);
const endpoints = { issuer: url, token_endpoint: `${url}/v1/auth/token`, revocation_endpoint: `${url}/v1/auth/revoke` };

/** A client that shows this certificate on its connections, and authenticates by this method. */
function configured(certificate, method, secret = passphrase) {
  const connect = { ca: file("ca.pem"), cert: file(`${certificate}.pem`), key: file(`${certificate}.key`) };
  const dispatcher = new Agent({ connect });
  const client = new oauth.Configuration(endpoints, recipient, undefined, method(secret));
  client[oauth.customFetch] = (address, options) => fetch(address, { ...options, dispatcher });
  return client;
}

const issue = (client) => oauth.clientCredentialsGrant(client, { scope: "retrieval" });
const access = (client, token) =>
  oauth.fetchProtectedResource(client, token, new URL(`${url}/v1/retrieval/access`), "GET");

/** Asserts that the token opens nothing for this client: the library says so where the answer has a challenge. */
async function assertClosed(client, token) {
  await assert.rejects(access(client, token), (error) => {
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, error.name);
    const [{ scheme, parameters }] = error.cause;
    assert.deepEqual([error.status, scheme, parameters.error], [401, "bearer", "invalid_token"]);
    return true;
  });
}

for (const method of [oauth.ClientSecretPost, oauth.ClientSecretBasic]) {
  const [client, stranger] = [configured("client", method), configured("stranger", method)];
  const issued = await issue(client);
  const { access_token: token } = issued;
  assert.deepEqual([issued.token_type, issued.scope], ["bearer", "retrieval"]);
  assert.ok(issued.expiresIn() > 0);
  assert.deepEqual(issued.factors, ["shared_passphrase", "tls_certificate"]);
  const opened = await access(client, token);
  assert.deepEqual([opened.status, (await opened.json()).recipientId], [200, recipient]);
  await assertClosed(stranger, token);

  await assert.rejects(issue(stranger), (error) => {
    assert.ok(error instanceof oauth.ResponseBodyError, error.name);
    assert.deepEqual([error.status, error.error], [400, "unauthorized_client"]);
    assert.match(error.error_description, /certificate/);
    return true;
  });
  await assert.rejects(issue(configured("client", method, WRONG)), (error) => {
    assert.equal(error.status, 401);
    if (method === oauth.ClientSecretBasic) {
      // Of an answer with a challenge, which RFC 6749 demands here, the library gives that alone.
      assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, error.name);
      assert.equal(error.cause[0].scheme, "basic");
    } else {
      assert.ok(error instanceof oauth.ResponseBodyError, error.name);
      assert.equal(error.error, "invalid_client");
    }
    return true;
  });

  await oauth.tokenRevocation(client, token);
  await oauth.tokenRevocation(client, token, { token_type_hint: "access_token" });
  await assertClosed(client, token);
}
