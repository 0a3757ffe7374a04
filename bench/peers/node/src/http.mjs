// What the endpoints share: the client, who calls, and the form of answers.

import { createHash } from "node:crypto";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, GetCommand } from "@aws-sdk/lib-dynamodb";
import { ulid } from "ulid";

export const TableName = process.env.TABLE_NAME;

export const table = DynamoDBDocumentClient.from(new DynamoDBClient({}), {
  marshallOptions: { removeUndefinedValues: true },
});

export class HttpError extends Error {
  constructor(statusCode, error, message, more = {}) {
    super(message);
    this.statusCode = statusCode;
    this.body = { statusCode, message, error, ...more };
  }
}

export const notFound = (what) => new HttpError(404, "Not Found", `${what} not found`);

export async function get(pk, sk) {
  const { Item } = await table.send(new GetCommand({ TableName, Key: { pk, sk }, ConsistentRead: true }));
  return Item;
}

/** The account and the id of the request's API key, and what `read` finds, if it is that account's. */
export async function authenticate(event, read) {
  const unauthorized = new HttpError(401, "Unauthorized", "Invalid or expired API key");
  const [, key] = /^Bearer +(dk_(?:live|test)_[0-9A-Za-z]{36})$/i.exec(event.headers.authorization ?? "") ?? [];
  if (!key?.startsWith(`dk_${process.env.DOCYARD_MODE}_`)) throw unauthorized;
  const digest = createHash("sha256").update(key).digest("hex");
  const [record, found] = await Promise.all([get(`KEY#${digest}`, "KEY"), read]);
  const expired = record?.expiresAt && record.expiresAt <= new Date().toISOString();
  if (!record || record.revokedAt || expired) throw unauthorized;
  return [record.account, record.id, found?.account === record.account ? found : undefined];
}

const RETENTION = Number(process.env.AUDIT_RETENTION_DAYS) * 24 * 60 * 60;

/** The writes of an audit entry, in the trails of its dock and of its entity. */
export function audit(event, { account, key, dock, entityType, entityId, action = "create", changes, metadata, at }) {
  const id = `aud_${ulid(at.getTime())}`;
  const entity = createHash("sha256").update(`${entityType}\0${entityId}`).digest("hex");
  const shard = "0123456789ABCDEFGHJKMNPQRSTVWXYZ".indexOf(id.at(-1)) % 8;
  const entry = {
    sk: id,
    account,
    dock,
    entityType,
    entityId,
    action,
    actor: key,
    source: "api",
    changes: changes && JSON.stringify({ before: {}, after: changes }),
    metadata: JSON.stringify(metadata),
    ipAddress: event.requestContext.http.sourceIp,
    userAgent: event.requestContext.http.userAgent?.slice(0, 256),
    createdAt: at.toISOString(),
    ttl: Math.ceil(at.getTime() / 1000) + RETENTION,
  };
  return [`AUDIT#${dock}#${shard}`, `AUDIT_ENTITY#${account}#${entity}`].map((pk) => ({
    Put: { TableName, Item: { pk, ...entry }, ConditionExpression: "attribute_not_exists(pk)" },
  }));
}

/** The request's body, of which every field must pass its check: `undefined` is a fault. */
export function parse(event, checks) {
  const bad = (details) =>
    new HttpError(400, "Bad Request", "The request is invalid; see details", { details });
  let body;
  try {
    const text = event.isBase64Encoded ? Buffer.from(event.body, "base64").toString() : event.body;
    body = JSON.parse(text);
  } catch {
    throw bad([{ field: "", message: "must be JSON" }]);
  }
  if (body === null || typeof body !== "object" || Array.isArray(body)) {
    throw bad([{ field: "", message: "must be a JSON object" }]);
  }
  const unknown = Object.keys(body).filter((field) => !Object.hasOwn(checks, field));
  const details = unknown.map((field) => ({ field, message: "is not a field of this request" }));
  const values = {};
  for (const [field, [check, message]] of Object.entries(checks)) {
    values[field] = check(body[field] ?? null);
    if (values[field] === undefined) details.push({ field, message });
  }
  if (details.length > 0) throw bad(details);
  return values;
}

export function name(value) {
  const text = typeof value === "string" ? value.trim() : "";
  return text !== "" && [...text].length <= 200 && !/\p{Cc}/u.test(text) ? text : undefined;
}

/** Turns what a handler returns, or throws, into API Gateway's form. */
export const endpoint = (handle) => async (event) => {
  const requestId = event.requestContext.requestId;
  const begun = performance.now();
  let statusCode;
  let body;
  let headers = {};
  try {
    ({ statusCode = 201, body, headers = {} } = await handle(event));
  } catch (error) {
    if (!(error instanceof HttpError)) console.error(JSON.stringify({ requestId, fault: error.name }));
    statusCode = error.statusCode && error.body ? error.statusCode : 500;
    body = error.body ?? { statusCode: 500, message: "Something went wrong", error: "Internal Server Error" };
  }
  console.log(
    JSON.stringify({ requestId, route: event.routeKey, status: statusCode, milliseconds: performance.now() - begun }),
  );
  return {
    statusCode,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-request-id": requestId,
      ...headers,
    },
    body: JSON.stringify(body),
  };
};
