// A secret from enrolment to deletion, by openapi-fetch with the types that openapi-typescript writes.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./document.js";

type ErrorBody = components["schemas"]["ErrorBody"];

const client = createClient<paths>({
  baseUrl: process.env.DOCYARD_URL,
  headers: { Authorization: `Bearer ${process.env.DOCYARD_API_KEY}` },
});

/** The body of a success. */
async function of<T>(request: Promise<{ data?: T; error?: ErrorBody }>): Promise<T> {
  const { data, error } = await request;
  assert.ok(data !== undefined, JSON.stringify(error));
  return data;
}

/** The body of an error. */
async function errorOf(request: Promise<{ data?: unknown; error?: ErrorBody }>): Promise<ErrorBody> {
  const { data, error } = await request;
  assert.ok(error, JSON.stringify(data));
  return error;
}

assert.equal((await of(client.GET("/v1/healthz"))).status, "ok");

// The API takes white space around a text, and an Idempotency-Key in quotes.
let dock = await of(
  client.POST("/v1/docks", {
    params: { header: { "Idempotency-Key": '"openapi-typescript"' } },
    body: { name: " Título \n", domain: "claims.example" },
  }),
);
assert.deepEqual([dock.name, dock.domain, dock.legalName], ["Título", "claims.example", null]);
const inDock = { params: { path: { dockId: dock.id } } };
assert.deepEqual(await of(client.GET("/v1/docks/{dockId}", inDock)), dock);
const docks = await of(client.GET("/v1/docks", { params: { query: { limit: 10 } } }));
assert.ok(docks.some(({ id }) => id === dock.id));
dock = await of(client.PATCH("/v1/docks/{dockId}", { ...inDock, body: { domain: null, legalName: "Título, S.A." } }));
assert.deepEqual([dock.name, dock.domain, dock.legalName], ["Título", null, "Título, S.A."]);

const identifiers = { lender_id: "LND-4821", phone: "+1-860-555-0147", date_of_birth: "1980-02-29" };
const create = {
  ...inDock,
  body: { name: "Bulk", email: " Bulk@claims.example\n", stakeholderClass: "mortgagee" as const, identifiers },
};
const recipient = await of(client.POST("/v1/docks/{dockId}/recipients", create));
assert.equal(recipient.email, "bulk@claims.example");
assert.deepEqual(recipient.identifiers, identifiers);
assert.deepEqual(await of(client.GET("/v1/docks/{dockId}/recipients", inDock)), [recipient]);
const taken = await errorOf(client.POST("/v1/docks/{dockId}/recipients", create));
assert.equal(taken.recipientId, recipient.id);
const one = { params: { path: { dockId: dock.id, recipientId: recipient.id } } };
const path = "/v1/docks/{dockId}/recipients/{recipientId}";
assert.deepEqual(await of(client.GET(path, one)), recipient);
const changed = await of(client.PATCH(path, { ...one, body: { stakeholderClass: null } }));
assert.deepEqual([changed.stakeholderClass, changed.identifiers], [null, identifiers]);

const version = (await client.GET(path, one)).response.headers.get("ETag") ?? "";
const ifMatch = (tag: string) => ({ params: { ...one.params, header: { "If-Match": tag } } });
const late = await errorOf(client.PATCH(path, { ...ifMatch('"0"'), body: { name: "Late" } }));
assert.equal(late.statusCode, 412);
assert.equal((await of(client.PATCH(path, { ...ifMatch(version), body: { name: "In time" } }))).name, "In time");
const without = await of(client.PATCH(path, { ...one, body: { identifiers: { phone: null } } }));
assert.deepEqual(Object.keys(without.identifiers).sort(), ["date_of_birth", "lender_id"]);
assert.deepEqual(await of(client.PATCH(path, { ...one, body: without })), without);

const recipientId = recipient.id;
const ofRecipient = { params: { path: { recipientId } } };
const ofSecret = (secretId: string) => ({ params: { path: { recipientId, secretId } } });
const verify = (secret: string | null) =>
  of(client.POST("/v1/recipients/{recipientId}/secrets/verify", { ...ofRecipient, body: { secret: secret ?? "" } }));
const generated = await of(
  client.POST("/v1/recipients/{recipientId}/secrets", { ...ofRecipient, body: { name: "Passphrase", expiresInDays: 90 } }),
);
assert.deepEqual(await verify(generated.secret), { valid: true, secretId: generated.id });
const rotated = await of(
  client.POST("/v1/recipients/{recipientId}/secrets/{secretId}/rotate", ofSecret(generated.id)),
);
assert.equal((await verify(generated.secret)).valid, false);
const secrets = await of(client.GET("/v1/recipients/{recipientId}/secrets", ofRecipient));
assert.deepEqual(
  secrets.map(({ id, status }) => [id, status]),
  [[rotated.id, "ACTIVE"], [generated.id, "ROTATED"]],
);
const overlapping = await of(
  client.POST("/v1/recipients/{recipientId}/secrets/{secretId}/rotate", {
    ...ofSecret(rotated.id),
    body: { graceHours: 24 },
  }),
);
for (const { id, secret } of [rotated, overlapping]) {
  assert.deepEqual(await verify(secret), { valid: true, secretId: id });
}
const inGrace = await of(client.GET("/v1/recipients/{recipientId}/secrets/{secretId}", ofSecret(rotated.id)));
assert.deepEqual([inGrace.status, inGrace.rotatedTo], ["ACTIVE", overlapping.id]);
await of(client.POST("/v1/recipients/{recipientId}/secrets/{secretId}/revoke", ofSecret(rotated.id)));
assert.deepEqual(await verify(rotated.secret), { valid: false, secretId: null });

await of(client.DELETE(path, one));
assert.equal((await errorOf(client.GET(path, one))).message, "Recipient not found");
