// What the page of browser.mjs does: EventSource streams that break again and again, and fetch, from another origin.
//
// Runs in the browser. `base` is the server, `cutting` a proxy before it that breaks streams (cut.mjs).

const CUTS = 3;
const STEPS = 40; // of the countdown
const CHANGES = 25;
const STEP_MS = 20_000;
const VERSION = "2025-11-25";
const STATELESS = "2026-07-28";

const { base, cutting } = Object.fromEntries(new URLSearchParams(location.search));
const post = (path, body) => fetch(path, { method: "POST", body });

function check(holds, why) {
  if (!holds) throw new Error(why);
}

/** Bounds a wait in time. */
function within(what, promise) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`${what}: not done after ${STEP_MS / 1000} s`)), STEP_MS);
  });
  return Promise.race([promise, late]);
}

const initialize = {
  id: "hello",
  method: "initialize",
  params: { protocolVersion: VERSION, capabilities: {}, clientInfo: { name: "a page", version: "1" } },
};

/** Follows a stream: which messages came, by which ids, and how often it was opened. */
class Followed {
  messages = [];
  ids = [];
  opened = 0;
  waiting = [];

  constructor(url, events = []) {
    this.source = new EventSource(url);
    this.source.addEventListener("open", () => {
      this.opened += 1;
      this.look();
    });
    this.source.addEventListener("error", () => this.look());
    for (const name of ["message", ...events]) {
      this.source.addEventListener(name, (event) => {
        if (!event.data) return;
        this.messages.push({ name, data: name === "message" ? JSON.parse(event.data) : event.data });
        if (name === "message") this.ids.push(event.lastEventId);
        this.look();
      });
    }
  }

  look() {
    this.waiting = this.waiting.filter(({ holds, resolve }) => !holds(this) || resolve());
  }

  /** Waits until it holds. */
  until(what, holds) {
    return within(what, new Promise((resolve) => {
      this.waiting.push({ holds, resolve });
      this.look();
    })).catch((error) => {
      throw new Error(`${error.message}; ${this.messages.length} messages, opened ${this.opened} times`);
    });
  }

  named(method) {
    return this.messages.filter(({ data }) => data.method === method).map(({ data }) => data);
  }

  /** Nothing twice, and the stream was really broken. */
  async check(what, name) {
    check(new Set(this.ids).size === this.ids.length, `${what}: an event came twice: ${this.ids}`);
    const cuts = Number(await (await fetch(`${cutting}/cuts?as=${name}`)).text());
    check(cuts === CUTS, `${what}: the stream was broken ${cuts} times`);
    check(this.opened === CUTS + 1, `${what}: the stream was opened ${this.opened} times`);
  }
}

/** HTTP+SSE: the answers come on the stream. */
async function overHttpSse() {
  const what = "/sse";
  const stream = new Followed(`${cutting}/sse?cut=${CUTS}&as=sse`, ["endpoint"]);
  await stream.until(`${what}: endpoint`, ({ messages }) => messages.length > 0);
  const endpoint = stream.messages[0].data;
  await post("/session", endpoint);
  const say = async (message) => {
    const response = await fetch(`${cutting}${endpoint}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    });
    check(response.status === 202, `${what}: ${message.method} was answered with ${response.status}`);
  };
  const answers = (id) => stream.messages.filter(({ data }) => data.id === id && data.result);
  await say(initialize);
  await stream.until(`${what}: initialize`, () => answers("hello").length > 0);
  await say({ method: "notifications/initialized" });
  const call = { name: "countdown", arguments: { from: STEPS, step_ms: 25 }, _meta: { progressToken: "p" } };
  await say({ id: "count", method: "tools/call", params: call });
  await stream.until(`${what}: countdown`, () => answers("count").length > 0);
  const steps = stream.named("notifications/progress").map(({ params }) => params.progress);
  check(steps.join() === Array.from({ length: STEPS }, (_, n) => n + 1).join(), `${what}: the steps came as ${steps}`);
  check(answers("count").length === 1, `${what}: the answer came twice`);
  const endpoints = stream.messages.filter(({ name }) => name === "endpoint").map(({ data }) => data);
  check(endpoints.length === CUTS + 1, `${what}: ${endpoints.length} endpoints`);
  check(new Set(endpoints).size === 1, `${what}: not the same endpoint after a break: ${endpoints}`);
  await stream.check(what, "sse");
  stream.source.close();
  return stream.ids.length;
}

/** Makes one request of Streamable HTTP, and gives the response with the messages in its body. */
async function ask(message, headers) {
  const response = await fetch(`${base}/mcp`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream", ...headers },
    body: JSON.stringify({ jsonrpc: "2.0", ...message }),
  });
  check(response.ok, `/mcp: ${message.method} was answered with ${response.status}`);
  const text = await response.text();
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
  const lines = isStream ? text.split(/\r?\n/).filter((line) => /^data: ?\S/.test(line)) : [text];
  return { response, messages: lines.filter(Boolean).map((line) => JSON.parse(line.replace(/^data: ?/, ""))) };
}

/** Streamable HTTP: what the session says by itself, behind a gateway that knows which one it is. */
async function overStreamableHttp() {
  const what = "/mcp";
  const hello = await ask(initialize);
  const id = hello.response.headers.get("mcp-session-id");
  check(id, `${what}: the page can't see the session's id`);
  await post("/session", `/mcp ${id}`);
  const headers = { "Mcp-Session-Id": id, "MCP-Protocol-Version": VERSION };
  await ask({ method: "notifications/initialized" }, headers);
  const stream = new Followed(`${cutting}/mcp?cut=${CUTS}&session=${id}`);
  await stream.until(`${what}: GET`, ({ opened }) => opened > 0);
  for (let n = 0; n < CHANGES; n += 1) {
    const params = { name: "test_trigger_tool_change", arguments: {} };
    const { messages } = await ask({ id: n, method: "tools/call", params }, headers);
    check(messages.at(-1)?.result, `${what}: change ${n} was answered with ${JSON.stringify(messages)}`);
  }
  const changes = () => stream.named("notifications/tools/list_changed").length;
  await stream.until(`${what}: changes`, () => changes() >= CHANGES);
  check(changes() === CHANGES, `${what}: ${changes()} changes came, not ${CHANGES}`);
  await stream.check(what, id);

  // The session is over: the stream ends, and the browser does not come again and again.
  const deleted = await fetch(`${base}/mcp`, { method: "DELETE", headers });
  check(deleted.status === 204, `${what}: DELETE was answered with ${deleted.status}`);
  await stream.until(`${what}: end`, () => stream.source.readyState === EventSource.CLOSED);
  check(changes() === CHANGES, `${what}: ${changes()} changes came, not ${CHANGES}`);
  return stream.ids.length;
}

/** 2026-07-28: no session, and headers that a page must be allowed to send. */
async function withoutSession() {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": STATELESS,
    "io.modelcontextprotocol/clientInfo": { name: "a page", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const askFor = (method, params, headers) =>
    ask({ id: method, method, params: { ...params, _meta: { ...meta, progressToken: 1 } } }, {
      "MCP-Protocol-Version": STATELESS,
      "Mcp-Method": method,
      ...headers,
    });
  const discovered = await askFor("server/discover", {});
  check(discovered.messages[0].result.supportedVersions.includes(STATELESS), "2026-07-28: not among the revisions");
  check(!discovered.response.headers.has("mcp-session-id"), "2026-07-28: a session was opened");
  const call = { name: "countdown", arguments: { from: 5, step_ms: 5 } };
  const counted = await askFor("tools/call", call, { "Mcp-Name": "countdown" });
  const steps = counted.messages.filter(({ method }) => method === "notifications/progress").length;
  check(steps === 5 && counted.messages.at(-1).result, `2026-07-28: ${JSON.stringify(counted.messages)}`);
  const region = { name: "test_header", arguments: { region: "eu" } };
  const routed = await askFor("tools/call", region, { "Mcp-Name": "test_header", "Mcp-Param-Region": "eu" });
  check(routed.messages.at(-1).result, `2026-07-28: ${JSON.stringify(routed.messages)}`);
}

let found;
try {
  const [sse, mcp] = await Promise.all([overHttpSse(), overStreamableHttp(), withoutSession()]);
  found = { what: `streams broken ${2 * CUTS} times: ${sse} and ${mcp} messages, each once` };
} catch (error) {
  found = { why: error.stack?.includes(error.message) ? error.stack : String(error) };
}
await post("/done", JSON.stringify(found));
