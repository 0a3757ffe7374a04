// GET /v1/retrieval/jobs/{jobId}/results, for an account

import { createHash, randomBytes } from "node:crypto";
import { BatchGetCommand, QueryCommand, TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { HttpError, TableName, audit, authenticate, endpoint, get, notFound, table } from "./http.mjs";

const HOUR = 60 * 60 * 1000;
const NOT_FOUND = { code: "not_found", message: "There is no such artifact, or it is not granted" };

async function query(pk, from, to) {
  const { Items } = await table.send(
    new QueryCommand({
      TableName,
      ConsistentRead: true,
      KeyConditionExpression: "pk = :pk AND sk BETWEEN :from AND :to",
      ExpressionAttributeValues: { ":pk": pk, ":from": from, ":to": to },
    }),
  );
  return Items;
}

async function batchGet(Keys) {
  if (Keys.length === 0) return [];
  const { Responses, UnprocessedKeys } = await table.send(
    new BatchGetCommand({ RequestItems: { [TableName]: { Keys, ConsistentRead: true } } }),
  );
  return [...Responses[TableName], ...(await batchGet(UnprocessedKeys?.[TableName]?.Keys ?? []))];
}

async function artifactsOf(ids) {
  const batches = [];
  for (let at = 0; at < ids.length; at += 100) {
    batches.push(batchGet(ids.slice(at, at + 100).map((id) => ({ pk: `ARTIFACT#${id}`, sk: "ARTIFACT" }))));
  }
  return new Map((await Promise.all(batches)).flat().map((artifact) => [artifact.id, artifact]));
}

async function jobAndPage(id) {
  const [job, page] = await Promise.all([get(`JOB#${id}`, "JOB"), get(`JOB#${id}`, "PAGE#0000")]);
  return job && { ...JSON.parse(job.job), page };
}

/** Whether a policy grants a recipient an artifact. Factors are the account's matter. */
function grants(policy, recipient, groups, metadata) {
  const { audience, recipe } = policy;
  if (audience !== "Everyone" && !audience.Groups.some((group) => groups.has(group))) return false;
  if (recipe.stakeholderClass !== recipient.stakeholderClass) return false;
  if (metadata === undefined) return true;
  if (!recipe.artifactTypes.includes(metadata.document_type)) return false;
  return recipe.match.identifiers.every((key) => {
    const value = recipient.identifiers?.[key];
    return value !== undefined && metadata[key] === value;
  });
}

export const handler = endpoint(async (event) => {
  const { jobId } = event.pathParameters;
  const [account, key, job] = await authenticate(event, jobAndPage(jobId));
  if (!job) throw notFound("Job");
  if (job.status !== "COMPLETED") throw new HttpError(400, "Bad Request", "This job is not completed");
  const now = new Date();
  const jobEnds = new Date(job.endedAt).getTime() + 24 * HOUR;
  if (now >= jobEnds) throw new HttpError(410, "Gone", "The results of this job are gone after 24 hours");
  const ready = job.page?.ready.match(/.{30}/g) ?? [];

  const active = await query(`RECIPIENT#${job.recipient}`, "CERTIFICATE#", "SECRET#~");
  const pointer = active.find((item) => item.sk === "RECIPIENT");
  const forbidden = new HttpError(403, "Forbidden", "No policy lets this recipient in");
  if (!pointer) throw forbidden;
  const groupKeys = active
    .filter((item) => item.sk.startsWith("GROUP#"))
    .map((item) => ({ pk: `GROUPS#${job.dock}`, sk: item.sk }));
  const inForce = `IN_FORCE#${pointer.stakeholderClass}#`;
  const [recipient, existing, policies, artifacts] = await Promise.all([
    get(`DOCK#${job.dock}`, `RECIPIENT#${pointer.email}`),
    batchGet(groupKeys),
    query(`POLICIES#${job.dock}`, inForce, `${inForce}~`),
    artifactsOf(ready),
  ]);
  if (recipient?.id !== job.recipient) throw forbidden;
  const groups = new Set(existing.map((group) => group.id));
  const inProduction = policies
    .map(({ audience, stages }) => ({ audience: JSON.parse(audience), ...JSON.parse(stages).production?.revision }))
    .filter((policy) => policy.recipe && grants(policy, recipient, groups));
  if (inProduction.length === 0) throw forbidden;

  const ticket = `dk_tkt_${randomBytes(32).toString("base64url")}`;
  const expiresAt = new Date(Math.min(now.getTime() + HOUR, jobEnds));
  const base = `https://${event.requestContext.domainName}/v1/retrieval/jobs/${jobId}/artifacts`;
  const items = ready.map((artifactId) => {
    const artifact = artifacts.get(artifactId);
    const isThere = artifact?.dock === job.dock && artifact.availableAt;
    if (!isThere || !inProduction.some((policy) => grants(policy, recipient, groups, artifact.metadata))) {
      return { artifactId, error: NOT_FOUND };
    }
    const { filename, contentType, size, hash, metadata } = artifact;
    const url = `${base}/${artifactId}?ticket=${ticket}`;
    return { artifactId, filename, contentType, size, hash, metadata, url, expiresAt: expiresAt.toISOString() };
  });

  const digest = createHash("sha256").update(ticket).digest("hex");
  await table.send(
    new TransactWriteCommand({
      TransactItems: [
        {
          Put: {
            TableName,
            Item: {
              pk: `JOB#${jobId}`,
              sk: `TICKET#${digest}`,
              job: jobId,
              dock: job.dock,
              account,
              recipient: job.recipient,
              method: job.method,
              page: 0,
              from: 0,
              to: ready.length,
              expiresAt: expiresAt.toISOString(),
              ttl: Math.ceil(expiresAt.getTime() / 1000),
            },
            ConditionExpression: "attribute_not_exists(pk)",
          },
        },
        ...audit(event, {
          account,
          key,
          dock: job.dock,
          entityType: "retrieval-job",
          entityId: jobId,
          action: "retrieve",
          metadata: { recipientId: job.recipient, links: items.filter((item) => item.url).length },
          at: now,
        }),
      ],
    }),
  );
  return { statusCode: 200, body: { status: job.status, totalCount: job.ready + job.errors, items } };
});
