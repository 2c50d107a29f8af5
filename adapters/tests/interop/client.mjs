// The TypeScript SDK's `SSEClientTransport` against one server: initialize, call, progress, 1 MiB, many sessions, close.
//
// Usage: client.mjs BASE_URL TARGET SESSIONS ENDPOINTS_FILE
//
// Each session's endpoint is appended to ENDPOINTS_FILE, so that the caller can look whether the server forgot it.
// Prints one line; exits 0 if all held. Anything that reaches the SDK's `onerror` counts as a failure.

import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import {
  STEP_MS, bearLoss, checkSteps, echo, errors, firstCalls, hardCalls, progress, run, step, targetNamed,
} from "./harness.mjs";

const [base, targetName, sessions, endpointsFile] = process.argv.slice(2);
const target = targetNamed(targetName);

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

async function textOf(client, { name, arguments: args }, options) {
  const result = await client.callTool({ name, arguments: args }, undefined, { timeout: STEP_MS, ...options });
  return result.content[0].text;
}

async function oneSession() {
  const session = await step("initialize", connect);
  const { client, transport } = session;
  const ask = (call, options) => textOf(client, call, options);
  assert(client.getServerVersion().name, "the server has no name");
  await firstCalls(client, target, ask);
  if (target.progress) {
    await step("progress notifications", async () => {
      const { seen, called } = await progress(transport, (options) => ask(target.progress, options));
      checkSteps(seen, target.progress.steps);
      bearLoss(called, seen.length);
    });
  }
  await hardCalls(target, ask);
  await step("close", () => close(session));
}

/** All are open before the first calls, and each must get its own answers. */
async function manySessions() {
  await step(`${sessions} sessions at once`, async () => {
    const open = await Promise.all(Array.from({ length: Number(sessions) }, connect));
    const say = (client, text) => echo(target.echo, text, (call) => textOf(client, call));
    await Promise.all(
      open.flatMap(({ client }, number) => [0, 1, 2].map((turn) => say(client, `session-${number}-call-${turn}-of-ts`))),
    );
    await Promise.all(open.map(close));
  });
}

await run([oneSession, manySessions], target.progress ? "" : "no progress: this server reports none");
