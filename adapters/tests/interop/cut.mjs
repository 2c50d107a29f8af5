// A proxy on loopback that breaks event streams in the middle of an event.
//
// Usage: cut.mjs UPSTREAM_URL        Prints its own URL, and proxies until it is killed.
//
// A request whose query has `cut=N` is served like any other until its response has said four events; then ten more bytes go
// out, and both connections are reset. That happens N times for all requests with the same `as=NAME` (or session id,
// where there is no name), whatever stream they are for. `session=ID` becomes the header `Mcp-Session-Id`, which a page
// can't give its EventSource: a gateway that knows its clients by a cookie does the same. `GET /cuts?as=NAME` answers
// how often a cut was made.

import { createServer, request } from "node:http";
import { pathToFileURL } from "node:url";

const EVENTS = 4;
const BYTES = 10;

/** Starts the proxy; resolves to its URL. */
export function serve(upstream) {
  const cuts = new Map();
  const { hostname, port } = new URL(upstream);

  const server = createServer((asked, answer) => {
    const url = new URL(asked.url, upstream);
    const take = (name) => {
      const value = url.searchParams.get(name);
      url.searchParams.delete(name);
      return value;
    };
    const most = Number(take("cut") ?? 0);
    const session = take("session");
    const name = take("as") ?? session ?? asked.headers["mcp-session-id"] ?? "";
    if (url.pathname === "/cuts") {
      answer.writeHead(200, { "Content-Type": "text/plain", "Access-Control-Allow-Origin": "*" });
      answer.end(String(cuts.get(name) ?? 0));
      return;
    }
    const headers = session ? { ...asked.headers, "mcp-session-id": session } : asked.headers;
    const path = `${url.pathname}${url.search}`;
    const passed = request({ hostname, port, method: asked.method, path, headers, agent: false });
    const drop = () => {
      passed.destroy();
      answer.destroy();
    };
    asked.pipe(passed);
    passed.on("error", drop);
    answer.on("close", () => passed.destroy());
    passed.on("response", (response) => {
      answer.writeHead(response.statusCode, response.headers);
      answer.flushHeaders();
      response.on("error", drop);
      response.on("aborted", drop);
      const isStream = response.headers["content-type"]?.startsWith("text/event-stream");
      if (!most || !isStream) return void response.pipe(answer);
      let said = "";
      response.setEncoding("latin1");
      response.on("data", (chunk) => {
        said += chunk;
        const done = (cuts.get(name) ?? 0) >= most;
        const end = done ? -1 : endOf(said, EVENTS) + BYTES;
        if (done || end < BYTES || said.length <= end) return void answer.write(chunk, "latin1");
        cuts.set(name, (cuts.get(name) ?? 0) + 1);
        response.removeAllListeners("data");
        answer.write(chunk.slice(0, Math.max(0, end - (said.length - chunk.length))), "latin1", () => {
          passed.destroy();
          asked.socket.resetAndDestroy();
        });
      });
      response.on("end", () => answer.end());
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${server.address().port}`));
  });
}

/** Where the given event ends; negative while it has not. */
function endOf(text, events) {
  let end = -1;
  for (const match of text.matchAll(/\r?\n\r?\n/g)) {
    events -= 1;
    if (events === 0) end = match.index + match[0].length;
  }
  return end < 0 ? -Infinity : end;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.log(await serve(process.argv[2]));
