// POST /v1/recipients/{recipientId}/secrets

import { createHash, randomBytes } from "node:crypto";
import { QueryCommand, TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { ulid } from "ulid";
import { HttpError, TableName, audit, authenticate, endpoint, name, notFound, parse, table } from "./http.mjs";

const DAY = 24 * 60 * 60 * 1000;

const CHECKS = {
  name: [name, "must be 1 to 200 characters"],
  expiresInDays: [
    (days) => (days === null || (Number.isInteger(days) && days >= 1 && days <= 3650) ? days : undefined),
    "must be an integer from 1 to 3650",
  ],
};

async function recipientWithSecrets(id) {
  const { Items } = await table.send(
    new QueryCommand({
      TableName,
      ConsistentRead: true,
      KeyConditionExpression: "pk = :pk AND sk BETWEEN :from AND :to",
      ExpressionAttributeValues: { ":pk": `RECIPIENT#${id}`, ":from": "RECIPIENT", ":to": "SECRET#~" },
    }),
  );
  const pointer = Items.find((item) => item.sk === "RECIPIENT");
  return pointer && { ...pointer, secrets: Items.filter((item) => item !== pointer) };
}

export const handler = endpoint(async (event) => {
  const { recipientId } = event.pathParameters;
  const [account, key, recipient] = await authenticate(event, recipientWithSecrets(recipientId));
  const input = parse(event, CHECKS);
  if (!recipient) throw notFound("Recipient");
  const now = new Date();
  const active = recipient.secrets.filter(({ expiresAt }) => !expiresAt || expiresAt > now.toISOString());
  if (active.length >= 100) throw new HttpError(409, "Conflict", "This recipient has 100 active secrets");

  const id = `sec_${ulid()}`;
  const secret = `dk_sec_${randomBytes(16).toString("hex")}`;
  const expiry = input.expiresInDays && new Date(now.getTime() + input.expiresInDays * DAY);
  const expiresAt = expiry?.toISOString() ?? null;
  const pk = `RECIPIENT#${recipientId}`;
  await table.send(
    new TransactWriteCommand({
      ClientRequestToken: id,
      TransactItems: [
        {
          ConditionCheck: {
            TableName,
            Key: { pk, sk: "RECIPIENT" },
            ConditionExpression: "attribute_exists(pk)",
          },
        },
        {
          Put: {
            TableName,
            ConditionExpression: "attribute_not_exists(pk)",
            Item: {
              pk,
              sk: `SECRET#${id}`,
              id,
              recipient: recipientId,
              name: input.name,
              digest: createHash("sha256").update(secret).digest("hex"),
              createdAt: now.toISOString(),
              lifetimeDays: input.expiresInDays ?? undefined,
              expiresAt: expiresAt ?? undefined,
              ttl: expiry ? Math.ceil(expiry.getTime() / 1000) : undefined,
            },
          },
        },
        ...audit(event, {
          account,
          key,
          dock: recipient.dock,
          entityType: "secret",
          entityId: id,
          changes: expiresAt && { expiresAt },
          metadata: { recipientId },
          at: now,
        }),
      ],
    }),
  );
  return { body: { id, secret, name: input.name, expiresAt } };
});
