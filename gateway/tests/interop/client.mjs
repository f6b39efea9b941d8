// An OAuth client that prints each answer as one line of JSON.
import * as openid from 'openid-client';
import { browse } from './browser.mjs';

const ORDERS = 'https://orders.example';
const CALLBACK = 'http://127.0.0.1/callback';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

const USAGE = `usage: client.mjs <command> <public_url> [args]
  login [resource]
  client-token <client_id> <secret> [resource]
  exchange <client_id> <secret> <subject_token> <audience> [scope]
  introspect <client_id> <secret> <token>
  revoke <client_id> <secret> <token>
  metadata`;

const [command, publicUrl, ...args] = process.argv.slice(2);

// A request to any other address would bypass the gateway.
async function publicFetch(url, options) {
  if (new URL(url).origin !== new URL(publicUrl).origin) {
    throw new Error(`${url} is not at ${publicUrl}`);
  }
  return fetch(url, options);
}

function discover(clientId, secret) {
  const authentication = secret ? openid.ClientSecretBasic(secret) : openid.None();
  return openid.discovery(new URL(publicUrl), clientId, undefined, authentication, {
    execute: [openid.allowInsecureRequests],
    [openid.customFetch]: publicFetch,
  });
}

const commands = {
  async login(resource = ORDERS) {
    const config = await discover('web', 'web-secret-0123456789abcdef');
    const verifier = openid.randomPKCECodeVerifier();
    const state = openid.randomState();
    const back = await browse(publicFetch, CALLBACK, openid.buildAuthorizationUrl(config, {
      redirect_uri: CALLBACK,
      scope: 'openid orders:read orders:write',
      resource,
      state,
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }));
    const checks = { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true };
    const token = await openid.authorizationCodeGrant(config, back, checks, { resource });
    return { access_token: token.access_token, expires_in: token.expires_in, scope: token.scope };
  },

  async 'client-token'(clientId, secret, resource = ORDERS) {
    const config = await discover(clientId, secret);
    return openid.clientCredentialsGrant(config, { scope: 'orders:read', resource });
  },

  async exchange(clientId, secret, subjectToken, audience, scope) {
    const config = await discover(clientId, secret);
    return openid.genericGrantRequest(config, TOKEN_EXCHANGE, {
      subject_token: subjectToken,
      subject_token_type: ACCESS_TOKEN,
      audience,
      ...(scope && { scope }),
    });
  },

  async introspect(clientId, secret, token) {
    return openid.tokenIntrospection(await discover(clientId, secret), token);
  },

  async revoke(clientId, secret, token) {
    await openid.tokenRevocation(await discover(clientId, secret), token);
    return {};
  },

  async metadata() {
    return (await discover('anyone')).serverMetadata();
  },
};

// The library reads an error from a body only if the status is 4xx without
// WWW-Authenticate. Otherwise it returns the response unread.
async function oauthError(failure) {
  if (failure.error) return failure;
  const response = [failure.response, failure.cause].find((it) => it instanceof Response);
  const body = await response?.json().catch(() => undefined);
  return body?.error && { ...body, status: response.status };
}

if (!publicUrl || !Object.hasOwn(commands, command)) {
  console.error(USAGE);
  process.exit(1);
}
try {
  console.log(JSON.stringify(await commands[command](...args)));
} catch (failure) {
  const refusal = await oauthError(failure);
  if (refusal) {
    const { error, status, error_description } = refusal;
    console.log(JSON.stringify({ error, status, error_description }));
  } else {
    console.error(failure);
    process.exitCode = 1;
  }
}
