// Alice at her browser: a module of client.mjs.

// The cookies of a browser, as far as this login needs them: the two steps of
// the login use one name at different paths.
class Cookies {
  #cookies = new Map();

  keep(response) {
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const [, name, value] = /^([^=]*)=(.*)$/.exec(pair);
      const attribute = (key) =>
        attributes.find((a) => a.toLowerCase().startsWith(`${key}=`))?.slice(key.length + 1);
      const path = attribute('path') ?? '/';
      const key = `${name} ${path}`;
      if (Date.parse(attribute('expires')) < Date.now()) this.#cookies.delete(key);
      else this.#cookies.set(key, { name, value, path });
    }
  }

  header({ pathname }) {
    const covers = (path) => pathname === path || pathname.startsWith(path.replace(/\/?$/, '/'));
    const sent = [...this.#cookies.values()].filter(({ path }) => covers(path));
    return sent.map(({ name, value }) => `${name}=${value}`).join('; ');
  }
}

// Follows redirects and submits the forms, until the server sends the browser back to the client.
export async function browse(fetch, callback, start) {
  const cookies = new Cookies();
  let url = start;
  let form;
  for (let step = 0; step < 20; step += 1) {
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      headers: { cookie: cookies.header(url) },
      body: form,
      redirect: 'manual',
    });
    cookies.keep(response);
    const page = await response.text();
    const location = response.headers.get('location');
    if (location) {
      url = new URL(location, url);
      form = undefined;
      if (url.href.startsWith(callback)) return url;
      continue;
    }
    const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1];
    const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1];
    if (!action) throw new Error(`no form at ${url}, status ${response.status}: ${page}`);
    url = new URL(action, url);
    form = new URLSearchParams({ prompt });
    if (prompt === 'login') {
      form.set('login', 'alice');
      form.set('password', 'any');
    }
  }
  throw new Error('the login does not come to an end');
}
