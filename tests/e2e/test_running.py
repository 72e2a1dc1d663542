"""The ways to run a site that the documents describe, with the servers and the very files that they name."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from tests.documents import blocks, commands, document
from tests.e2e.servers import Place, Program, answers
from tests.e2e.support import (
    Reader,
    articles,
    choose,
    comment,
    expect_live,
    expect_loaded,
    picture,
    reach_section,
    section,
    wait_until,
    write,
)

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]

PROCESS = document("docs/running-hub-process.md")
MOUNTED = document("docs/running-mounted.md")
NGINX = document("docs/running-behind-nginx.md")
POST = "/posts/swifts/"
SECRET = "a key of the tests, 32 bytes or so"
NOTICE = "Comments are not available on this site yet."


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path, {"SECRET_KEY": SECRET})
    yield place
    place.stop()


def code_of(text: str) -> str:
    """Return the program of a document, which is its first block of Python."""
    return blocks(text, "python")[0]


def command_of(text: str, program: str) -> str:
    (command,) = commands(text, program)
    return command


def run_gunicorn(place: Place) -> Program:
    return place.run(command_of(PROCESS, "gunicorn"), "site.log")


def run_hub(place: Place, *, port: str = "5001") -> Program:
    return place.run(f"{command_of(PROCESS, 'flask')} --port {port}", "hub.log")


def talk(one: Page, other: Page) -> None:
    """Let two readers hear each other, and see what one of them attaches."""
    reach_section(one)
    reach_section(other)
    write(one, "Is anybody there?", name="Robin")
    expect(comment(other, "Is anybody there?")).to_contain_text("Robin")
    choose(other, picture("a swift.png", 600, 400))
    write(other, "Over here", name="Kim")
    expect(comment(one, "Over here")).to_contain_text("Kim")
    for page in (one, other):
        expect(articles(page)).to_have_count(3)
        expect_loaded(articles(page).get_by_role("img", name="a swift.png"))
    # The original is another address than the thumbnail.
    articles(one).get_by_role("link", name="a swift.png").click()
    dialog = one.get_by_role("dialog", name="a swift.png")
    expect_loaded(dialog.get_by_role("img", name="a swift.png"))
    one.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def cut(program: Program, one: Page, other: Page, text: str) -> None:
    """Kill a server in the middle of a talk, write meanwhile, and start it again."""
    before = articles(one).count()
    program.kill()
    for page in (one, other):
        expect(section(page).get_by_role("status")).not_to_have_text("Live")
    write(other, text)
    program.start()
    for page in (one, other):
        expect_live(page)
        expect(comment(page, text)).to_have_count(1)
        expect(articles(page)).to_have_count(before + 1)


def problems(*readers: Reader) -> list[str]:
    """Return what was wrong, but for the icon that these sites do not have."""
    return [problem for reader in readers for problem in reader.problems if "/favicon.ico" not in problem]


def tickets_of(page: Page) -> Callable[[], list[str]]:
    """Collect the tickets that a page is given."""
    found: list[str] = []
    page.on(
        "response",
        lambda answer: found.append(answer.json()["ticket"]) if answer.url.endswith("/join") and answer.ok else None,
    )
    return lambda: found


# The development server


def test_flask_run_starts_the_hub_with_the_first_page(place: Place, new_reader: NewReader) -> None:
    place.settings["CHATIX_HUB_PORT"] = str(place.hub_port)
    place.write_blog(code_of(PROCESS))
    command, _ = commands(document("docs/running-flask-run.md"), "flask")
    site = place.run(f"{command} --port 8000", "site.log")
    one, two = new_reader(), new_reader()
    page_one, page_two = one.open(place.url + POST), two.open(place.url + POST)
    talk(page_one, page_two)
    assert problems(one, two) == []
    cut(site, page_one, page_two, "Written while all was away")


# The hub as a process of its own


def test_gunicorn_with_three_workers_and_a_hub_beside_it(place: Place, new_reader: NewReader) -> None:
    place.settings["CHATIX_HUB_URL"] = f"http://127.0.0.1:{place.hub_port}"
    place.write_blog(code_of(PROCESS))
    hub, site = run_hub(place), run_gunicorn(place)
    one, two = new_reader(), new_reader()
    page_one, page_two = one.open(place.url + POST), two.open(place.url + POST)
    talk(page_one, page_two)
    assert problems(one, two) == []

    cut(hub, page_one, page_two, "Written while the hub was away")

    # Who is connected does not need the site.
    site.kill()
    write(page_one, "Written while the site was away")
    expect(comment(page_two, "Written while the site was away")).to_be_visible()
    site.start()
    later = new_reader().open(place.url + POST)
    reach_section(later)
    expect(articles(later)).to_have_count(5)

    # Both at once: a power cut.
    site.kill()
    cut_off = later
    hub.kill()
    expect(section(cut_off).get_by_role("status")).not_to_have_text("Live")
    hub.start()
    site.start()
    expect_live(cut_off)
    expect(articles(cut_off)).to_have_count(5)
    assert (hub.terminate(), site.terminate()) == (0, 0)
    assert "CRITICAL" not in place.logs()


def test_a_hub_under_another_host_name(place: Place, new_reader: NewReader) -> None:
    hub_url = f"http://localhost:{place.hub_port}"
    directives = re.findall(r"`((?:connect|img)-src [^`]*)`", PROCESS)
    assert len(directives) == 2
    policy = "; ".join(directives).replace("https://chat.example.com", hub_url)
    policy = policy.replace("wss://chat.example.com", hub_url.replace("http", "ws"))
    place.settings |= {
        "CHATIX_HUB_URL": hub_url,
        "CHATIX_API_URL": f"http://127.0.0.1:{place.hub_port}/v1",
        "CHATIX_HUB_ALLOWED_ORIGINS": place.url,
    }
    place.write_blog(code_of(PROCESS), policy=f"default-src 'self'; {policy}")
    run_hub(place)
    run_gunicorn(place)
    one, two = new_reader(), new_reader()
    talk(one.open(place.url + POST), two.open(place.url + POST))
    assert problems(one, two) == []


def test_no_hub_is_one_line_in_the_log_and_a_quiet_notice(place: Place, new_reader: NewReader) -> None:
    place.write_blog(code_of(PROCESS))
    site = run_gunicorn(place)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(answers, [place.url + POST] * 60))
    reader = new_reader()
    page = reader.open(place.url + POST)
    expect(page.get_by_role("heading", level=1)).to_have_text("Swifts")
    found = section(page)
    expect(found.get_by_text(NOTICE)).to_be_visible()
    expect(found.get_by_role("alert")).to_have_count(0)
    expect(found.get_by_role("status")).to_have_count(0)
    expect(found.get_by_role("textbox")).to_have_count(0)
    lines = [line for line in site.log.splitlines() if "The comments have no hub" in line]
    assert len(lines) == 1
    assert "gunicorn/" in lines[0]
    assert "flask chatix hub" in lines[0]
    assert logging.getLevelName(logging.CRITICAL) not in lines[0], "the level is known to who configures logging"

    # The remedy, as the line says.
    site.kill()
    place.settings["CHATIX_HUB_URL"] = f"http://127.0.0.1:{place.hub_port}"
    run_hub(place)
    run_gunicorn(place)
    page.reload()
    expect_live(page)


# Site and hub in one process


def test_uvicorn_with_site_and_hub_on_one_port(place: Place, new_reader: NewReader) -> None:
    place.write_blog(code_of(MOUNTED), policy="default-src 'self'")
    site = place.run(command_of(MOUNTED, "uvicorn"), "site.log")
    one, two = new_reader(), new_reader()
    page_one, page_two = one.context.new_page(), two.open(place.url + POST)
    tickets = tickets_of(page_one)
    page_one.goto(place.url + POST)
    talk(page_one, page_two)
    assert problems(one, two) == []
    cut(site, page_one, page_two, "Written while all was away")

    # As systemd stops it: readers are sent away in time, and are back.
    assert site.terminate() == -15
    site.start()
    expect_live(page_one)
    assert len(tickets()) >= 3
    log = site.log
    assert '"WebSocket /chatix-comments/hub/v1/chat?..." [accepted]' in log
    assert not [ticket for ticket in tickets() if ticket in log]
    assert "Traceback" not in log


def test_uvicorn_with_two_workers_is_refused(place: Place) -> None:
    place.write_blog(code_of(MOUNTED))
    site = place.run(f"{command_of(MOUNTED, 'uvicorn')} --workers 2", "site.log")
    assert site.process is not None
    # uvicorn ends by itself when one of its workers does not start.
    wait_until(lambda: site.process is not None and site.process.poll() is not None, "uvicorn gives up")
    assert "Another process runs the hub already" in site.log
    assert "serve it without --workers" in site.log


# Behind nginx: TLS, and under a path


def check_what_a_browser_sees(reader: Reader, page: Page, prefix: str) -> None:
    """Check addresses, cookie and files of a section under a path, once its reader has taken part."""
    (cookie,) = reader.context.cookies()
    assert (cookie["path"], cookie["secure"], cookie["httpOnly"]) == (f"{prefix}/chatix-comments", True, True)
    element = page.locator("chatix-comments")
    expect(element).to_have_attribute("data-endpoint", f"{prefix}/chatix-comments")
    for selector, attribute in (("script[type=module]", "src"), ("link[rel=stylesheet]", "href")):
        # The section's own style comes with it.
        address = page.locator(selector).first.get_attribute(attribute)
        assert address is not None
        assert address.startswith(f"{prefix}/chatix-comments/static/")
    expect(section(page)).to_have_css("display", "grid")
    assert problems(reader) == []


def check_leaving(place: Place, page: Page, prefix: str) -> None:
    """See that a page which goes away takes its reader out, and that its beacon arrives."""
    assert place.chatix("show", "swifts")["number_of_visitors"] == 2
    page.goto("about:blank")
    wait_until(lambda: place.chatix("show", "swifts")["number_of_visitors"] == 1, "the reader is out")
    beacon = re.compile(rf'"POST {prefix}/chatix-comments/leave HTTP/[0-9.]+" 204')
    wait_until(lambda: beacon.search(place.logs()), "the beacon is answered")


def test_a_hub_of_its_own_behind_nginx(place: Place, new_reader: NewReader) -> None:
    snippet, _ = blocks(NGINX, "nginx")
    proxy_fix = code_of(NGINX)
    place.settings |= {
        "APPLICATION_ROOT": "/blog",
        "CHATIX_HUB_URL": f"{place.proxy_url}/chat",
        "CHATIX_API_URL": f"http://127.0.0.1:{place.hub_port}/v1",
    }
    place.write_blog(code_of(PROCESS), proxy_fix, policy="default-src 'self'; connect-src 'self'")
    hub, _, nginx = run_hub(place), run_gunicorn(place), place.run_nginx(snippet)
    check_behind_nginx(place, new_reader, hub, nginx, hub_url=f"{place.proxy_url}/chat/v1")


def test_site_and_hub_in_one_process_behind_nginx(place: Place, new_reader: NewReader) -> None:
    _, snippet = blocks(NGINX, "nginx")
    (variable,) = re.findall(r"`FLASK_(CHATIX_API_URL=\S+)`", MOUNTED)
    name, _, url = variable.partition("=")
    place.settings[name] = url.replace("8000", str(place.site_port))
    place.write_blog(code_of(MOUNTED), policy="default-src 'self'")
    site = place.run(command_of(NGINX, "uvicorn"), "site.log")
    nginx = place.run_nginx(snippet)
    hub_url = f"{place.proxy_url}/blog/chatix-comments/hub/v1"
    check_behind_nginx(place, new_reader, site, nginx, hub_url=hub_url)


def test_in_one_process_with_the_path_in_a_header_for_the_site_alone(place: Place, new_reader: NewReader) -> None:
    _, snippet = blocks(NGINX, "nginx")
    (header,) = re.findall(r"`(proxy_set_header X-Forwarded-Prefix /blog;)`", NGINX)
    for_site, hub, for_hub = snippet.partition("location /blog/chatix-comments/hub/ {")
    for_site = for_site.replace("proxy_set_header Host", f"{header} proxy_set_header Host")
    place.write_blog(code_of(MOUNTED), code_of(NGINX), policy="default-src 'self'")
    place.run(command_of(MOUNTED, "uvicorn"), "site.log")
    place.run_nginx(for_site + hub + for_hub)
    one, two = new_reader(ignore_https_errors=True), new_reader(ignore_https_errors=True)
    page_one, page_two = (reader.open(f"{place.proxy_url}/blog{POST}") for reader in (one, two))
    talk(page_one, page_two)
    picture = io.BytesIO()
    Image.new("RGB", (60, 40)).save(picture, "PNG")
    file: FilePayload = {"name": "tide.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    section(page_one).get_by_label("Attach files").set_input_files([file])
    write(page_one, "A picture")
    for page in (page_one, page_two):
        image = articles(page).get_by_role("img", name="tide.png")
        image.scroll_into_view_if_needed()
        wait_until(partial(image.evaluate, "image => image.complete && image.naturalWidth > 0"), "the image is there")
    check_what_a_browser_sees(two, page_two, "/blog")
    assert problems(one) == []


def check_behind_nginx(place: Place, new_reader: NewReader, hub: Program, nginx: Program, *, hub_url: str) -> None:
    one, two = new_reader(ignore_https_errors=True), new_reader(ignore_https_errors=True)
    url = f"{place.proxy_url}/blog{POST}"
    page_one, page_two = one.context.new_page(), two.open(url)
    tickets = tickets_of(page_one)
    page_one.goto(url)
    talk(page_one, page_two)
    check_what_a_browser_sees(two, page_two, "/blog")

    cut(hub, page_one, page_two, "Written while the hub was away")
    cut(nginx, page_one, page_two, "Written while nginx was away")
    check_leaving(place, page_two, "/blog")
    outside = one.context.request
    assert outside.get(f"{hub_url}/health").json()["status"] == "ok"
    # Without nginx it would be 401, for want of the key.
    for path in ("chatroom/list?websiteId=local", "visitor/get?websiteId=local"):
        assert outside.get(f"{hub_url}/{path}").status == 404
    assert outside.get(f"{hub_url}/visitor/get-id?websiteId=local").ok
    assert tickets()
    assert not [ticket for ticket in tickets() if ticket in place.logs()]
