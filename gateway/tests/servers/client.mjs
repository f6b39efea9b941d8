// The client `openid-client` and the verifier `jose`, each a command that prints one line of JSON.
import { readFileSync } from 'node:fs';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as openid from 'openid-client';

const USAGE = `usage: client.mjs <endpoints.json> <command> <args>
  exchange <client_id> <secret> <subject_token> <audience>
  verify <token> <audience>`;

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
