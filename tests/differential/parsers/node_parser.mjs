// Express 4 or 5 with its router and its parsers of bodies, or only the parsers that servers on Node.js use: qs, querystring,
// URLSearchParams, JSON, URL, and busboy for multipart.
// usage: node node_parser.mjs express|express4|qs
import { createRequire } from "node:module";
import { IncomingMessage, ServerResponse } from "node:http";
import querystring from "node:querystring";

const require = createRequire(process.cwd() + "/");
const name = process.argv[2];
const express = name === "qs" ? undefined : require(name);
const qs = require("qs");
const busboy = require("busboy");
const fastQuerystring = require("fast-querystring");

const GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";

function isGrant(value) {
  if (typeof value === "string") return value.trim().toLowerCase() === GRANT;
  return value !== null && typeof value === "object" && Object.values(value).some(isGrant);
}

const has = (parameters) => isGrant(parameters?.grant_type);

function jsonHasGrant(text) {
  // An error is slow, and only an object has members.
  if (!text.trimStart().startsWith("{")) return false;
  try {
    return has(JSON.parse(text));
  } catch {
    return false;
  }
}

const PARSERS = [
  querystring.parse,
  fastQuerystring.parse,
  (text) => qs.parse(text, { allowDots: true }),
  (text) => ({ grant_type: new URLSearchParams(text).getAll("grant_type") }),
];

// What other servers on Node.js use instead of the router and the parsers of Express.
function othersHaveGrant({ target, type, body }) {
  const query = target.split("?").slice(1).join("?");
  if (query !== "" && PARSERS.some((parse) => has(parse(query)))) return true;
  const text = body.toString();
  if (jsonHasGrant(text)) return true;
  return /^\s*application\/x-www-form-urlencoded/i.test(type) && PARSERS.some((parse) => has(parse(text)));
}

function urlIsEndpoint(target) {
  try {
    return /^\/token(\/|$)/i.test(decodeURIComponent(new URL(target, "http://as.example").pathname));
  } catch {
    return false;
  }
}

const application = (extended) => {
  const app = express();
  app.set("query parser", extended ? "extended" : "simple");
  app.use(express.urlencoded({ extended }), express.json({ strict: false }));
  app.use((request, response, next) => {
    if (request.candidate.parts === undefined) return next();
    request.body = request.candidate.parts;
    next();
  });
  const found = (request) => request.done(has(request.query) || has(request.body) || othersHaveGrant(request.candidate));
  app.all("/token", found);
  app.use("/token", found);
  app.use((request) => request.done(false));
  app.use((error, request, response, next) => request.done(false));
  return app;
};
const apps = express ? [application(true), application(false)] : [];

function read(message) {
  const end = message.indexOf("\r\n\r\n");
  const [first, ...lines] = message.toString("latin1", 0, end).split("\r\n");
  const [method, target] = first.split(" ");
  const headers = {};
  for (const line of lines) {
    const at = line.indexOf(": ");
    const key = line.slice(0, at).toLowerCase();
    // Node.js keeps the first of two media types.
    headers[key] ??= line.slice(at + 2);
  }
  return { method, target, headers, type: headers["content-type"] ?? "", body: message.subarray(end + 4) };
}

// The fields of a multipart body, in the way of multer.
function fields(candidate) {
  return new Promise((resolve) => {
    if (!/^\s*multipart\//i.test(candidate.type)) return resolve(undefined);
    const parts = {};
    try {
      const parser = busboy({ headers: candidate.headers });
      parser.on("field", (key, value) => (parts[key] ??= []).push(value));
      parser.on("file", (key, stream) => stream.on("error", () => resolve(undefined)).resume());
      parser.on("close", () => resolve(parts));
      parser.on("error", () => resolve(undefined));
      parser.end(candidate.body);
    } catch {
      resolve(undefined);
    }
  });
}

function handle(app, candidate) {
  return new Promise((resolve) => {
    const request = new IncomingMessage(null);
    Object.assign(request, { method: candidate.method, url: candidate.target, candidate, done: resolve });
    request.headers = { ...candidate.headers, "content-length": String(candidate.body.length) };
    request.push(candidate.body);
    request.push(null);
    app.handle(request, new ServerResponse(request), () => resolve(false));
  });
}

async function hasGrant(message) {
  const candidate = read(message);
  if (urlIsEndpoint(candidate.target) && othersHaveGrant(candidate)) return true;
  candidate.parts = await fields(candidate);
  if (candidate.parts && urlIsEndpoint(candidate.target) && has(candidate.parts)) return true;
  for (const app of apps) if (await handle(app, candidate)) return true;
  return false;
}

async function answer(batch) {
  const found = [];
  for (const message of batch) found.push((await hasGrant(message)) ? "1" : "0");
  process.stdout.write(found.join(""));
}

const { version } = require(name + "/package.json");
const parsers = `qs ${require("qs/package.json").version} and busboy on Node.js ${process.version}`;
console.log(express ? `Express ${version} with ${parsers}` : parsers);

let input = Buffer.alloc(0);
for await (const chunk of process.stdin) {
  input = input.length ? Buffer.concat([input, chunk]) : chunk;
  for (;;) {
    if (input.length < 4) break;
    const batch = [];
    let at = 4;
    for (let left = input.readUInt32LE(0); left > 0 && at + 4 <= input.length; left--) {
      const end = at + 4 + input.readUInt32LE(at);
      if (end > input.length) break;
      batch.push(input.subarray(at + 4, end));
      at = end;
    }
    if (batch.length < input.readUInt32LE(0)) break;
    await answer(batch);
    input = input.subarray(at);
  }
}
