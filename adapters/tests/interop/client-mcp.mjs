// The TypeScript SDK, 1.x or 2.x, against one server over Streamable HTTP, in sessions or without (2026-07-28).
//
// Usage: client-mcp.mjs 1|2 BASE_URL TARGET SESSIONS SESSIONS_FILE sessions|stateless [CUTTING_URL]
//
// CUTTING_URL is the same server behind a proxy that breaks a response in the middle. Each session's id is appended to
// SESSIONS_FILE, so that the caller can look whether the server forgot it. Prints one line; exits 0 if all held.
// Anything that reaches the SDK's `onerror` counts as a failure.

import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import {
  STEP_MS, bearLoss, checkSteps, echo, errors, firstCalls, hardCalls, progress, run, step, targetNamed,
} from "./harness.mjs";

const BROKEN = 10; // steps of the call whose response breaks

const [generation, base, targetName, sessions, sessionsFile, mode, cutting] = process.argv.slice(2);
const target = targetNamed(targetName);
const isStateless = mode === "stateless";

const sdk = generation === "1" ? await first() : await second();

/** What differs between the two: 1.x takes schemas where 2.x takes the names of methods. */
async function first() {
  const [{ Client }, { StreamableHTTPClientTransport }, types] = await Promise.all([
    import("@modelcontextprotocol/sdk/client/index.js"),
    import("@modelcontextprotocol/sdk/client/streamableHttp.js"),
    import("@modelcontextprotocol/sdk/types.js"),
  ]);
  const schemas = {
    "sampling/createMessage": types.CreateMessageRequestSchema,
    "elicitation/create": types.ElicitRequestSchema,
    "roots/list": types.ListRootsRequestSchema,
  };
  const handle = (client, method, handler) => client.setRequestHandler(schemas[method], handler);
  const call = (client, params, options) => client.callTool(params, undefined, options);
  return { Client, StreamableHTTPClientTransport, handle, call };
}

async function second() {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const handle = (client, method, handler) => client.setRequestHandler(method, handler);
  const call = (client, params, options) => client.callTool(params, options);
  return { Client, StreamableHTTPClientTransport, handle, call };
}

function signal() {
  const made = { given: false };
  made.promise = new Promise((resolve) => {
    made.give = () => {
      made.given = true;
      resolve();
    };
  });
  return made;
}

/** One client: what it is asked and told, and which requests it makes. */
class Conversation {
  listening = signal(); // its GET stream is open
  changed = signal(); // it was told that the tools have changed
  rootsAsked = signal();
  log = [];
  resumed = 0;
  deleted = undefined;
  closing = false;
  id = undefined;

  async open(url, { hasRoots = false, bears = () => false } = {}) {
    const capabilities = { sampling: {}, elicitation: {}, ...(hasRoots && { roots: {} }) };
    const options = { capabilities };
    if (isStateless) options.versionNegotiation = { mode: "auto" };
    this.client = new sdk.Client({ name: "interop", version: "1" }, options);
    this.transport = new sdk.StreamableHTTPClientTransport(new URL(url), { fetch: (...asked) => this.fetch(...asked) });
    this.client.onerror = (error) => {
      // Closing aborts the GET stream, which 1.x tells of.
      if (!(this.closing && /AbortError/.test(error)) && !bears(error)) errors.push(error);
    };
    sdk.handle(this.client, "sampling/createMessage", async () => ({
      role: "assistant",
      model: "a model",
      content: { type: "text", text: "forty-two" },
    }));
    sdk.handle(this.client, "elicitation/create", async () => ({ action: "accept", content: target.form }));
    if (hasRoots) {
      sdk.handle(this.client, "roots/list", async () => {
        this.rootsAsked.give();
        return { roots: [{ uri: "file:///interop", name: "interop" }] };
      });
    }
    this.client.fallbackNotificationHandler = async ({ method, params }) => {
      if (method === "notifications/message") this.log.push(params.data);
      if (method === "notifications/tools/list_changed") this.changed.give();
    };
    await this.client.connect(this.transport);
    return this;
  }

  async fetch(url, init) {
    const response = await fetch(url, init);
    const { method } = init;
    const session = response.headers.get("mcp-session-id");
    if (session && !this.id) {
      this.id = session;
      appendFileSync(sessionsFile, `/mcp ${session}\n`);
    }
    if (method === "GET" && response.ok) {
      if (new Headers(init.headers).has("last-event-id")) this.resumed += 1;
      else this.listening.give();
    } else if (method === "DELETE") {
      this.deleted = response.status;
    }
    return response;
  }

  async textOf({ name, arguments: args }, options) {
    const result = await sdk.call(this.client, { name, arguments: args }, { timeout: STEP_MS, ...options });
    return result.content[0].text;
  }

  async echo(text) {
    await echo(target.echo, text, (call) => this.textOf(call));
  }

  /** The steps that were told before the answer. */
  async progress(call) {
    const { seen, called } = await progress(this.transport, (options) => this.textOf(call, options));
    bearLoss(called, seen.length);
    return seen;
  }

  async close() {
    this.closing = true;
    if (isStateless) {
      assert.equal(this.id, undefined, "a session was opened");
    } else {
      await this.transport.terminateSession();
      assert([200, 202, 204].includes(this.deleted), `DELETE was answered with ${this.deleted}`);
    }
    await this.client.close();
  }
}

async function oneClient() {
  const conversation = new Conversation();
  const ask = (call) => conversation.textOf(call);
  const { client } = await step("initialize", () => conversation.open(`${base}/mcp`, { hasRoots: true }));
  assert(client.getServerVersion().name, "the server has no name");
  const version = conversation.transport.protocolVersion ?? client.getNegotiatedProtocolVersion();
  assert.equal(version === "2026-07-28", isStateless, `the revision is ${version}`);
  await firstCalls(client, target, ask);
  if (target.progress) {
    await step("progress notifications", async () => {
      checkSteps(await conversation.progress(target.progress), target.progress.steps);
    });
  }
  if (target.log) {
    await step("log messages", async () => {
      const level = isStateless ? { _meta: { "io.modelcontextprotocol/logLevel": "info" } } : {};
      await sdk.call(client, { name: target.log.name, arguments: target.log.arguments, ...level });
      assert.equal(conversation.log.length, target.log.lines, `the log is ${conversation.log}`);
    });
  }
  if (!isStateless || target.asks_without_session) {
    for (const call of target.ask) {
      await step(`a question of the server's: ${call.name}`, async () => {
        const answer = await conversation.textOf(call);
        assert(answer.includes(call.contains), `unexpected answer: ${answer.slice(0, 200)}`);
      });
    }
  }
  await hardCalls(target, ask);
  if (isStateless) await withoutSession(conversation);
  else await withSession(conversation);
  await step("close", () => conversation.close());
}

/** What the server says by itself comes on the GET stream; a response that ended early is taken up again. */
async function withSession(conversation) {
  await step("GET stream", () => conversation.listening.promise);
  if (target.change) {
    await step("a change is announced on the GET stream", async () => {
      assert(!conversation.changed.given, "a change was announced before there was one");
      await conversation.textOf(target.change);
      await conversation.changed.promise;
    });
  }
  if (target.asks_for_roots) {
    await step("the server asks by itself, on the GET stream", () => conversation.rootsAsked.promise);
  }
  if (target.reconnect) {
    await step("a response that the server ends early", async () => {
      const before = conversation.resumed;
      const answer = await conversation.textOf(target.reconnect);
      assert(answer.includes(target.reconnect.contains), `unexpected answer: ${answer.slice(0, 80)}`);
      assert.equal(conversation.resumed, before + 1, `Last-Event-ID was sent ${conversation.resumed - before} times`);
    });
  }
}

/** What changes is told to who has subscribed. */
async function withoutSession(conversation) {
  if (!target.change) return;
  await step("a change is announced to a subscription", async () => {
    const subscription = await conversation.client.listen({ toolsListChanged: true });
    await conversation.textOf(target.change);
    await conversation.changed.promise;
    await subscription.close();
  });
}

/** A response breaks in the middle of an event: the rest of it comes, and nothing twice. */
async function brokenResponse() {
  let told = 0;
  // The SDK tells of the connection's end, and goes on.
  const bears = (error) => /SSE stream disconnected/.test(error.message) && (told += 1) === 1;
  const conversation = await new Conversation().open(`${cutting}/mcp?cut=1`, { bears });
  const seen = await conversation.progress({ name: "countdown", arguments: { from: BROKEN, step_ms: 20 } });
  assert.deepEqual(seen, Array.from({ length: BROKEN }, (_, n) => n + 1), `the steps that came: ${seen}`);
  assert.equal(conversation.resumed, 1, `Last-Event-ID was sent ${conversation.resumed} times`);
  await conversation.close();
}

/** All are open before the first calls, and each must get its own answers. */
async function manyClients() {
  await step(`${sessions} clients at once${cutting ? ", and a response that breaks" : ""}`, async () => {
    const broken = cutting ? brokenResponse() : undefined;
    const open = await Promise.all(
      Array.from({ length: Number(sessions) }, () => new Conversation().open(`${base}/mcp`)),
    );
    await Promise.all(
      open.flatMap((one, number) => [0, 1, 2].map((turn) => one.echo(`client-${number}-call-${turn}-of-ts`))),
    );
    await Promise.all(open.map((one) => one.close()));
    await broken;
  });
}

await run([oneClient, manyClients]);
