"""Pages with chatix-core in them: how to start it, call it, and wait for what it is told."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

START = """
async () => {
  window.told = [];
  window.core = new ChatixCore("local");
  for (const name of [
    "onConnected", "onChatroomMessageReceived", "onChatroomMessageUpdated", "onChatroomMessageDeleted",
    "onChatroomCreated", "onChatroomUpdated", "onChatroomDeleted", "onChatroomRestored",
    "onMemberConnectedToChatroom", "onMemberDisconnectedFromChatroom", "onApplyVisitorInfo",
  ]) {
    core[name] = (...args) => { told.push([name, JSON.parse(JSON.stringify(args))]); };
  }
  return core.start();
}
"""


def start(page: Page) -> None:
    assert page.evaluate(START) is True


def call(page: Page, method: str, *arguments: Any) -> Any:
    return page.evaluate(
        "async ([method, args]) => JSON.parse(JSON.stringify((await core[method](...args)) ?? null))",
        [method, list(arguments)],
    )


def wait_for(page: Page, name: str) -> list[Any]:
    page.wait_for_function("(name) => told.some(([one]) => one === name)", arg=name)
    arguments: list[Any] = page.evaluate("(name) => told.find(([one]) => one === name)[1]", name)
    return arguments
