// The client `openid-client` and verifiers, each a command that prints one line of JSON.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import express from 'express';
import { auth } from 'express-oauth2-jwt-bearer';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import jsonwebtoken from 'jsonwebtoken';
import jwksRsa from 'jwks-rsa';
import * as openid from 'openid-client';

const USAGE = `usage: client.mjs <endpoints.json> <command> <args>
  exchange <client_id> <secret> <subject_token> <audience>
  verify <token> <audience>
  verify-with-rs256 <token> <audience>`;

const [file, command, ...args] = process.argv.slice(2);
const endpoints = JSON.parse(readFileSync(file, 'utf8'));

const commands = {
  async exchange(clientId, secret, token, audience) {
    const posts = endpoints.auth[clientId] === 'client_secret_post';
    const authentication = posts ? openid.ClientSecretPost(secret) : openid.ClientSecretBasic(secret);
    const config = new openid.Configuration(endpoints, clientId, undefined, authentication);
    openid.allowInsecureRequests(config);
    return openid.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience,
    });
  },

  async verify(token, audience) {
    const keys = createRemoteJWKSet(new URL(endpoints.jwks_uri));
    const { payload } = await jwtVerify(token, keys, { issuer: endpoints.issuer, audience });
    return payload;
  },

  // Resource servers that know only the algorithms of the server: from its metadata, or from their own configuration.
  async 'verify-with-rs256'(token, audience) {
    const { issuer, jwks_uri: jwksUri } = endpoints;
    const service = express();
    service.get('/', auth({ issuerBaseURL: issuer, audience }), (request, response) => response.json(request.auth.payload));
    const server = service.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers });
    server.close();
    server.closeAllConnections();
    if (!answer.ok) throw new Error(`${answer.status} ${answer.headers.get('www-authenticate')}`);
    const keys = jwksRsa({ jwksUri });
    const key = ({ kid }, done) => keys.getSigningKey(kid).then((it) => done(null, it.getPublicKey()), done);
    const options = { algorithms: ['RS256'], issuer, audience };
    const payload = await promisify(jsonwebtoken.verify)(token, key, options);
    return { jsonwebtoken: payload, express: await answer.json() };
  },
};

if (!Object.hasOwn(commands, command)) {
  console.error(USAGE);
  process.exit(1);
}
try {
  console.log(JSON.stringify(await commands[command](...args)));
} catch (failure) {
  // The library does not read the body of an answer with a challenge.
  const response = [failure.response, failure.cause].find((it) => it instanceof Response);
  const body = failure.error ? failure : await response?.json().catch(() => undefined);
  if (!body?.error) throw failure;
  console.log(JSON.stringify({ error: body.error, status: failure.status }));
}
