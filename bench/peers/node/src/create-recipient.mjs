// POST /v1/docks/{dockId}/recipients

import { TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { ulid } from "ulid";
import { HttpError, TableName, audit, authenticate, endpoint, get, name, notFound, parse, table } from "./http.mjs";

const EMAIL =
  /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/;
const CLASSES = ["mortgagee", "agent", "policyholder", "auditor"];

function email(value) {
  const address = typeof value === "string" ? value.trim().toLowerCase() : "";
  return address.length <= 254 && address.indexOf("@") <= 64 && EMAIL.test(address) ? address : undefined;
}

function isIdentifier([key, value]) {
  if (!/^[A-Za-z][\w-]{0,63}$/.test(key) || typeof value !== "string") return false;
  if (value === "" || [...value].length > 512 || /\p{Cc}/u.test(value)) return false;
  if (key === "nda_hash") return /^(sha256:)?[0-9a-f]{64}$/i.test(value);
  if (key === "date_of_birth") return /^\d{4}-\d{2}-\d{2}$/.test(value) && new Date(value) <= new Date();
  if (key === "phone") return /^\+\d[\d .()-]*\d$/.test(value);
  return true;
}

function identifiers(value) {
  if (value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  return entries.length <= 50 && entries.every(isIdentifier) ? value : undefined;
}

const CHECKS = {
  name: [name, "must be 1 to 200 characters"],
  email: [email, "must be a valid email address"],
  stakeholderClass: [
    (value) => (value === null || CLASSES.includes(value) ? value : undefined),
    `must be one of ${CLASSES.join(", ")}`,
  ],
  identifiers: [identifiers, "must be an object of at most 50 identifiers"],
};

export const handler = endpoint(async (event) => {
  const { dockId } = event.pathParameters;
  const [account, key, dock] = await authenticate(event, get(`DOCK#${dockId}`, "DOCK"));
  const input = parse(event, CHECKS);
  if (!dock) throw notFound("Dock");

  const id = `rcp_${ulid()}`;
  const at = new Date();
  const recipient = { id, ...input, createdAt: at.toISOString() };
  const put = (item) => ({
    Put: {
      TableName,
      Item: item,
      ConditionExpression: "attribute_not_exists(pk)",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    },
  });
  const stored = { ...recipient, stakeholderClass: input.stakeholderClass ?? undefined };
  try {
    await table.send(
      new TransactWriteCommand({
        ClientRequestToken: id,
        TransactItems: [
          put({ pk: `DOCK#${dockId}`, sk: `RECIPIENT#${input.email}`, ...stored, dock: dockId, account, version: 0 }),
          put({ pk: `RECIPIENT#${id}`, sk: "RECIPIENT", dock: dockId, account, email: input.email }),
          ...audit(event, {
            account,
            key,
            dock: dockId,
            entityType: "recipient",
            entityId: id,
            changes: input.stakeholderClass && { stakeholderClass: input.stakeholderClass },
            metadata: {
              personalFieldsChanged: [
                "email",
                ...Object.keys(input.identifiers).map((identifier) => `identifiers.${identifier}`),
                "name",
              ],
            },
            at,
          }),
        ],
      }),
    );
  } catch (error) {
    const holder = error.CancellationReasons?.[0];
    if (holder?.Code !== "ConditionalCheckFailed") throw error;
    throw new HttpError(409, "Conflict", "Another recipient of this dock has this email", {
      recipientId: holder.Item?.id?.S,
    });
  }
  return {
    body: { ...recipient, dockId },
    headers: { location: `/v1/docks/${dockId}/recipients/${id}` },
  };
});
