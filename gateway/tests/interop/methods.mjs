// The clients `openid-client` and `oauth4webapi`, each with each of its methods of authentication.
import { readFileSync } from 'node:fs';
import { createPrivateKey } from 'node:crypto';
import { join } from 'node:path';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const USAGE = 'usage: methods.mjs <library> <method> <issuer> <client_id> <secret> <folder> <subject_token> <audience>';

const [library, method, issuer, clientId, secret, folder, subjectToken, audience] = process.argv.slice(2);
if (!audience) {
  console.error(USAGE);
  process.exit(1);
}

const file = (name) => readFileSync(join(folder, name), 'utf8');
const presentsCertificate = method === 'tls_client_auth';
const certificate = presentsCertificate ? { cert: file('client.crt'), key: file('client.key') } : {};
const dispatcher = new Agent({ connect: { ca: file('ca.crt'), ...certificate } });
const fetch = (url, options) => undiciFetch(url, { ...options, dispatcher });

async function signingKey() {
  const pkcs8 = createPrivateKey(file('assertion.pem')).export({ type: 'pkcs8', format: 'der' });
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  return { key: await crypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']), kid: 'client-1' };
}

// Both libraries give the methods the same names.
async function authentication({ ClientSecretBasic, ClientSecretPost, PrivateKeyJwt, TlsClientAuth }) {
  switch (method) {
    case 'client_secret_basic':
      return ClientSecretBasic(secret);
    case 'client_secret_post':
      return ClientSecretPost(secret);
    case 'private_key_jwt':
    case 'dpop':
      return PrivateKeyJwt(await signingKey());
    case 'tls_client_auth':
      return TlsClientAuth();
    default:
      throw new Error(USAGE);
  }
}

const parameters = {
  subject_token: subjectToken,
  subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  audience,
};

const libraries = {
  async 'openid-client'() {
    const config = await openid.discovery(new URL(issuer), clientId, undefined, await authentication(openid), {
      [openid.customFetch]: fetch,
    });
    const options = {};
    if (method === 'dpop') options.DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair());
    return openid.genericGrantRequest(config, TOKEN_EXCHANGE, parameters, options);
  },

  async oauth4webapi() {
    const url = new URL(issuer);
    const http = { [oauth.customFetch]: fetch };
    const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, http));
    const client = { client_id: clientId };
    const credentials = await authentication(oauth);
    const options = { ...http };
    if (method === 'dpop') options.DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
    const request = async () => {
      const response = await oauth.genericTokenEndpointRequest(
        server, client, credentials, TOKEN_EXCHANGE, parameters, options);
      return oauth.processGenericTokenEndpointResponse(server, client, response);
    };
    try {
      return await request();
    } catch (failure) {
      // The library leaves the second attempt to its user.
      if (!oauth.isDPoPNonceError(failure)) throw failure;
      return request();
    }
  },
};

const { access_token, token_type } = await libraries[library]();
console.log(JSON.stringify({ access_token, token_type }));
await dispatcher.close();
