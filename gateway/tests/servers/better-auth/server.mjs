// `better-auth` with the plugin `@better-auth/oauth-provider`: JWTs signed with EdDSA.
// usage: server.mjs <port> <public_url>
import { createServer } from 'node:http';
import { oauthProvider } from '@better-auth/oauth-provider';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { getAuthTables } from 'better-auth/db';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';

const ORDERS = 'https://orders.example';
const CLIENTS = ['web', 'orders-api', 'billing-api', 'gateway'];
const [port, publicUrl] = process.argv.slice(2);

let creating;
const tables = {};
const auth = betterAuth({
  baseURL: publicUrl,
  secret: 'a-secret-for-tests-only-0123456789abcdef',
  database: memoryAdapter(tables),
  emailAndPassword: { enabled: true },
  logger: { level: 'warn' },
  telemetry: { enabled: false },
  plugins: [
    jwt(),
    oauthProvider({
      loginPage: '/login',
      consentPage: '/consent',
      scopes: ['openid', 'offline_access', 'orders:read'],
      resources: [ORDERS],
      enforcePerClientResources: false,
      generateClientId: () => creating,
      generateClientSecret: () => `${creating}-secret-0123456789abcdef`,
    }),
  ],
});

for (const { modelName } of Object.values(getAuthTables(auth.options))) tables[modelName] = [];
const { headers } = await auth.api.signUpEmail({
  returnHeaders: true,
  body: { name: 'alice', email: 'alice@users.example', password: 'alice-password' },
});
const cookie = headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
for (creating of CLIENTS) {
  await auth.api.adminCreateOAuthClient({
    headers: new Headers({ cookie }),
    body: {
      redirect_uris: ['https://client.example/callback'],
      scope: 'openid offline_access orders:read',
      grant_types: creating === 'web' ? ['authorization_code', 'refresh_token'] : ['client_credentials'],
      token_endpoint_auth_method: creating === 'billing-api' ? 'client_secret_post' : 'client_secret_basic',
      skip_consent: true,
    },
  });
}

const PAGE = '<form method="post"><input name="email" type="email"><input name="password" type="password"></form>';

// The page for the login is a part of the application, not of better-auth.
async function login(request, response) {
  const { search } = new URL(request.url, publicUrl);
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html').end(PAGE);
    return;
  }
  let body = '';
  for await (const chunk of request) body += chunk;
  const form = Object.fromEntries(new URLSearchParams(body));
  const answer = await auth.handler(new Request(`${publicUrl}/api/auth/sign-in/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: publicUrl },
    body: JSON.stringify({ ...form, oauth_query: search.slice(1) }),
  }));
  const { url } = await answer.json();
  response.setHeader('set-cookie', answer.headers.getSetCookie());
  response.writeHead(303, { location: url }).end();
}

const handle = toNodeHandler(auth);
createServer((request, response) => {
  (request.url.startsWith('/login') ? login : handle)(request, response);
}).listen(Number(port), '127.0.0.1');
