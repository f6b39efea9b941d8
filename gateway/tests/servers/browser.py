"""A user at a browser: the user follows redirects, and fills in the forms."""

from html.parser import HTMLParser
from urllib.parse import parse_qs, urljoin, urlsplit

import requests


class Form(HTMLParser):
    """The first form of a page that has a password field, or else the last form."""

    def __init__(self, page, user):
        super().__init__()
        self.user = user
        self.forms = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append({"action": attributes.get("action"), "fields": {}, "asks": False})
        elif tag in ("input", "button") and self.forms and attributes.get("name"):
            self.field(self.forms[-1], attributes["name"], attributes.get("type"), attributes.get("value"))

    def field(self, form, name, kind, value):
        if kind == "password":
            form["asks"] = True
            value = self.user["password"]
        elif kind == "email":
            value = self.user["email"]
        elif name in ("login", "username", "user"):
            value = self.user["name"]
        form["fields"][name] = value or ""

    def chosen(self):
        return next((form for form in self.forms if form["asks"]), self.forms[-1] if self.forms else None)


def glewlwyd(browser, page, user):
    """Sends what the program in the login page of glewlwyd sends. Returns the URL to which that program goes."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
    credentials = {"username": user["name"], "password": user["password"]}
    browser.post(urljoin(page, "/api/auth/"), json=credentials).raise_for_status()
    grant = urljoin(page, f"/api/auth/grant/{query['client_id']}")
    browser.put(grant, json={"scope": query["scope"]}).raise_for_status()
    return query["callback_url"] + "&g_continue"


def browse(start, callback, user):
    """Returns the URL with which the server sends the browser back to the client."""
    browser = requests.Session()
    answer = browser.get(start, allow_redirects=False)
    for _ in range(20):
        location = answer.headers.get("Location")
        if location:
            url = urljoin(answer.url, location)
            if url.startswith(callback):
                return url
            if urlsplit(url).path.endswith("/login.html"):
                url = glewlwyd(browser, url, user)
            answer = browser.get(url, allow_redirects=False)
            continue
        form = Form(answer.text, user).chosen()
        if form is None:
            raise RuntimeError(f"no form at {answer.url}, status {answer.status_code}: {answer.text}")
        action = urljoin(answer.url, form["action"] or "")
        headers = {"Referer": answer.url, "Origin": "/".join(answer.url.split("/")[:3])}
        answer = browser.post(action, data=form["fields"], headers=headers, allow_redirects=False)
    raise RuntimeError("the login does not come to an end")
