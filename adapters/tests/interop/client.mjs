// The TypeScript SDK's `SSEClientTransport` against one server: initialize, call, progress, 1 MiB, many sessions, close.
//
// Usage: client.mjs BASE_URL TARGET SESSIONS ENDPOINTS_FILE
//
// Each session's endpoint is appended to ENDPOINTS_FILE, so that the caller can look whether the server forgot it.
// Prints one line; exits 0 if all held. Anything that reaches the SDK's `onerror` counts as a failure.

import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";

const MIB = 1024 * 1024;
const STEP_MS = 30_000;

const [base, targetName, sessions, endpointsFile] = process.argv.slice(2);
const target = JSON.parse(readFileSync(new URL("./targets.json", import.meta.url), "utf8"))[targetName];
const errors = [];
let doing = "start";

/** Bounds a step in time, and remembers its name for the report of a failure. */
async function step(name, work) {
  doing = name;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${STEP_MS / 1000} s`)), STEP_MS);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function connect() {
  const transport = new SSEClientTransport(new URL(`${base}/sse`));
  const client = new Client({ name: "interop", version: "1" });
  const session = { client, transport, closing: false };
  client.onerror = (error) => {
    // An answer may overtake the 202 of its request; closing then aborts a POST that no one waits for.
    if (!(session.closing && error.name === "AbortError")) errors.push(error);
  };
  await client.connect(transport);
  appendFileSync(endpointsFile, `${transport._endpoint.pathname}${transport._endpoint.search}\n`);
  return session;
}

async function close(session) {
  session.closing = true;
  await session.client.close();
}

async function textOf(client, name, args, options) {
  const result = await client.callTool({ name, arguments: args }, undefined, { timeout: STEP_MS, ...options });
  return result.content[0].text;
}

async function echo(client, text) {
  const answer = await textOf(client, target.echo.name, { [target.echo.argument]: text });
  const same = target.echo.exact ? answer === text : answer.includes(text);
  assert(same, `${text.length} characters were sent, and these ${answer.length} came: ${answer.slice(0, 80)}`);
}

/**
 * Counts what the transport hands over, not the calls of `onprogress`: the SDK forgets the handler as soon as the
 * answer is parsed, and so loses a notification that came in the same read.
 */
async function progress({ client, transport }) {
  const seen = [];
  const deliver = transport.onmessage;
  let answered = false;
  transport.onmessage = (message, extra) => {
    if (message.method === "notifications/progress") {
      assert(!answered, "a notification came after the answer");
      seen.push(message.params.progress);
    } else if ("result" in message) {
      answered = true;
    }
    deliver(message, extra);
  };
  const { name, arguments: args, steps } = target.progress;
  let called = 0;
  await textOf(client, name, args, { onprogress: () => (called += 1) });
  transport.onmessage = deliver;
  assert.equal(new Set(seen).size, steps, `progress notifications: ${seen}`);
  assert.equal(seen.length, steps, `progress notifications: ${seen}`);
  assert(called >= steps - 1, `onprogress was called ${called} times`);
  const lost = errors.findIndex((error) => /unknown token/i.test(error.message));
  if (called === steps - 1 && lost >= 0) errors.splice(lost, 1);
}

async function oneSession() {
  const session = await step("initialize", connect);
  const { client } = session;
  assert(client.getServerVersion().name, "the server has no name");
  await step("list tools", async () => {
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    assert.deepEqual(target.tools.filter((name) => !names.includes(name)), [], "tools not listed");
  });
  await step("call a tool", async () => {
    const answer = await textOf(client, target.call.name, target.call.arguments);
    assert(answer.includes(target.call.contains), `unexpected answer: ${answer.slice(0, 80)}`);
  });
  if (target.progress) await step("progress notifications", () => progress(session));
  await step("echo 1 MiB", () => echo(client, "m".repeat(MIB)));
  if (target.echo.unicode) {
    await step("echo what line splitters trip over", () =>
      echo(client, "é \u2028 \u0085 \u{1f980} \r\n \n\n data: x \0 end"));
  }
  if (target.large) {
    await step("receive 1 MiB", async () => {
      const answer = await textOf(client, target.large.name, target.large.arguments);
      assert.equal(answer.length, target.large.length);
    });
  }
  await step("close", () => close(session));
}

/** All are open before the first calls, and each must get its own answers. */
async function manySessions() {
  await step(`${sessions} sessions at once`, async () => {
    const open = await Promise.all(Array.from({ length: Number(sessions) }, connect));
    await Promise.all(
      open.flatMap(({ client }, number) => [0, 1, 2].map((turn) => echo(client, `session-${number}-call-${turn}-of-ts`))),
    );
    await Promise.all(open.map(close));
  });
}

try {
  await oneSession();
  await manySessions();
  doing = "close";
  assert.deepEqual(errors.map(String), [], "the SDK reported errors");
  console.log(target.progress ? "" : "no progress: this server reports none");
} catch (error) {
  console.log(`${doing}: ${error.message.replace(/\s+/g, " ").slice(0, 400)}`, ...errors.slice(0, 1).map(String));
  process.exit(1);
}
