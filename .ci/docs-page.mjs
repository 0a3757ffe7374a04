// Tries the API on its page, as a person would: enters the key, creates a recipient, generates a secret and verifies it, by
// clicking. Takes the server's URL, the key and a dock's id.
import { chromium } from "playwright-core";

const [url, key, dock] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const page = await browser.newPage();
const wrong = [];
page.on("request", (request) => {
  if (!request.url().startsWith(url) && !request.url().startsWith("data:")) wrong.push(`asked ${request.url()}`);
});
page.on("pageerror", (error) => wrong.push(error.message));

async function execute(operation, parameters, body) {
  const block = page.locator(`[id$="-${operation}"]`);
  await block.locator(".opblock-summary").click();
  for (const [name, value] of Object.entries(parameters)) {
    await block.locator(`tr[data-param-name="${name}"] input`).fill(value);
  }
  if (body) await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
  await block.locator("button.execute").click();
  const answer = block.locator(".live-responses-table .response-col_description .highlight-code code").first();
  return JSON.parse(await answer.innerText());
}

function expect(what, holds) {
  if (!holds) throw new Error(`${what} did not work`);
  console.log(`${what} works`);
}

await page.goto(`${url}/docs`);
await page.click("button.authorize");
const authorization = page.locator(".auth-container", { hasText: "ApiKey" });
await authorization.locator("input").fill(key);
await authorization.locator("button[type=submit]").click();
await authorization.locator("button.btn-done").click();
const recipient = await execute("createRecipient", { dockId: dock });
expect("creating a recipient", /^rcp_/.test(recipient.id));
const secret = await execute("generateSecret", { recipientId: recipient.id });
expect("generating a secret", /^dk_sec_[0-9a-f]{32}$/.test(secret.secret));
const verified = await execute("verifySecret", { recipientId: recipient.id }, { secret: secret.secret });
expect("verifying it", verified.valid === true && verified.secretId === secret.id);
expect("all from this server", wrong.length === 0 || console.error(wrong));
await browser.close();
