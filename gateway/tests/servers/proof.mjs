// Clients with keys, and resource servers that verify DPoP, each a command that prints one line of JSON.
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

const USAGE = `usage: proof.mjs <endpoints.json> <command> <args>
  signed <client_id> <subject_token> <audience>     exchanges with private_key_jwt
  workload <client_id> <subject_token> <audience>   exchanges with the token of a service account
  bound <client_id> <subject_token> <audience> <aud>  exchanges with a secret and DPoP, and calls the resource servers`;

const [path, command, ...args] = process.argv.slice(2);
const file = (name) => readFileSync(join(dirname(path), name), 'utf8');
const endpoints = JSON.parse(readFileSync(path, 'utf8'));

function exchange(clientId, authentication, token, audience, keys) {
  const config = new openid.Configuration(endpoints, clientId, undefined, authentication);
  openid.allowInsecureRequests(config);
  const options = keys && { DPoP: openid.getDPoPHandle(config, keys) };
  return openid.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    audience,
  }, options);
}

async function signed() {
  const pkcs8 = createPrivateKey(file('assertion.pem')).export({ type: 'pkcs8', format: 'der' });
  const key = await crypto.subtle.importKey('pkcs8', pkcs8, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  return openid.PrivateKeyJwt(key);
}

// The library has no method for workloads, and lets its user add one.
function workload(server, client, body) {
  body.set('client_id', client.client_id);
  body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
  body.set('client_assertion', file('account.token').trim());
}

// A resource server by `express-oauth2-jwt-bearer`.
function byExpress(audience) {
  const service = express();
  service.get('/', auth({ issuerBaseURL: endpoints.issuer, audience, dpop: { enabled: true } }), (request, response) => {
    response.json(request.auth.payload);
  });
  return service;
}

// A resource server by `oauth4webapi`.
function byOauth4webapi(audience) {
  return async (incoming, response) => {
    const { method, headers } = incoming;
    const request = new Request(`http://${headers.host}${incoming.url}`, { method, headers });
    const options = { [oauth.allowInsecureRequests]: true };
    try {
      response.end(JSON.stringify(await oauth.validateJwtAccessToken(endpoints, request, audience, options)));
    } catch (failure) {
      response.writeHead(401, { 'www-authenticate': 'DPoP' }).end(failure.message);
    }
  };
}

// Calls a resource server in each way. Returns the status of each answer.
async function calls(service, clientId, token, keys) {
  const server = createServer(service).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(`http://127.0.0.1:${server.address().port}/`);
  const call = async (headers) => (await fetch(url, { headers })).status;
  // Each call has a proof of its own.
  const proven = async (prover) => {
    const config = new openid.Configuration(endpoints, clientId);
    openid.allowInsecureRequests(config);
    const options = { DPoP: openid.getDPoPHandle(config, prover) };
    try {
      return (await openid.fetchProtectedResource(config, token, url, 'GET', undefined, undefined, options)).status;
    } catch (failure) {
      if (!(failure.cause instanceof Response) && !failure.status) throw failure;
      return failure.status ?? failure.cause.status;
    }
  };
  const statuses = {
    as_bearer: await call({ authorization: `Bearer ${token}` }),
    without_proof: await call({ authorization: `DPoP ${token}` }),
    with_another_key: await proven(await openid.randomDPoPKeyPair()),
    with_the_key: await proven(keys),
  };
  server.close();
  server.closeAllConnections();
  return statuses;
}

const commands = {
  signed: async (clientId, token, audience) => exchange(clientId, await signed(), token, audience),
  workload: async (clientId, token, audience) => exchange(clientId, workload, token, audience),
  async bound(clientId, token, audience, aud) {
    const keys = await openid.randomDPoPKeyPair();
    const secret = openid.ClientSecretBasic(`${clientId}-secret-0123456789abcdef`);
    const { access_token: issued, token_type: tokenType } = await exchange(clientId, secret, token, audience, keys);
    return {
      access_token: issued,
      token_type: tokenType,
      express: await calls(byExpress(aud), clientId, issued, keys),
      oauth4webapi: await calls(byOauth4webapi(aud), clientId, issued, keys),
    };
  },
};

if (!Object.hasOwn(commands, command)) {
  console.error(USAGE);
  process.exit(1);
}
try {
  console.log(JSON.stringify(await commands[command](...args)));
} catch (failure) {
  if (!failure.error) throw failure;
  console.log(JSON.stringify({ error: failure.error, status: failure.status }));
}
