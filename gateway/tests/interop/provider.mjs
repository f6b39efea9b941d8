// An ordinary authorization server, without token exchange.
// usage: provider.mjs <port> <public_url> <keys_file>
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider, errors } from 'oidc-provider';

const ORDERS = 'https://orders.example';
const LEDGER = 'https://ledger.example';

// This server does not introspect or revoke access tokens that are JWTs.
// Tokens for LEDGER are opaque, so that both endpoints are used.
const RESOURCES = {
  [ORDERS]: {
    audience: ORDERS,
    scope: 'orders:read orders:write',
    accessTokenTTL: 600,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256' } },
  },
  [LEDGER]: {
    audience: LEDGER,
    scope: 'orders:read orders:write',
    accessTokenTTL: 600,
    accessTokenFormat: 'opaque',
  },
};

const service = (id) => ({
  client_id: id,
  client_secret: `${id}-secret-0123456789abcdef`,
  token_endpoint_auth_method: 'client_secret_basic',
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
});
const SERVICES = ['orders', 'billing', 'gateway'];

// The keys survive a restart, as those of a real server do.
async function signingKeys(file) {
  if (!existsSync(file)) {
    const { privateKey } = await generateKeyPair('RS256', { extractable: true });
    const key = { ...(await exportJWK(privateKey)), kid: 'provider-1', alg: 'RS256', use: 'sig' };
    writeFileSync(file, JSON.stringify({ keys: [key] }), { mode: 0o600 });
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

const [port, publicUrl, keysFile] = process.argv.slice(2);
if (!keysFile) {
  console.error('usage: provider.mjs <port> <public_url> <keys_file>');
  process.exit(1);
}

// The library prints notices to stdout, which is reserved for the line "ready".
console.info = console.error;

const provider = new Provider(publicUrl, {
  clients: [
    {
      client_id: 'web',
      client_secret: 'web-secret-0123456789abcdef',
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      redirect_uris: ['http://127.0.0.1/callback'],
    },
    ...SERVICES.map(service),
  ],
  jwks: await signingKeys(keysFile),
  cookies: { keys: ['a-cookie-key-which-never-changes'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  clientBasedCORS: () => true,
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    introspection: {
      enabled: true,
      allowedPolicy: (ctx, client) => SERVICES.includes(client.clientId),
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => ORDERS,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => {
        if (!Object.hasOwn(RESOURCES, resource)) throw new errors.InvalidTarget();
        return { ...RESOURCES[resource] };
      },
    },
  },
});
provider.proxy = true;
provider.on('server_error', (ctx, error) => console.error(error));

const server = provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));

function stop() {
  server.close(() => process.exit(0));
  server.closeAllConnections();
}
process.on('SIGTERM', stop);
// The process that started this server holds its stdin. When stdin closes, the server ends.
process.stdin.on('close', stop).on('error', stop).resume();
