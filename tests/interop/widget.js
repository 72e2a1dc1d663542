// A stand-in for the vendor's chat widget: a page's support chat and one group chat, on the SDK as it is published.
// <script src="widget.js" data-website="..." data-chatroom="..." [data-start="no"]></script>
import * as module from "chatix-core";

const ChatixCore = module.default?.default ?? module.default ?? module;
const { website, chatroom, start } = document.currentScript.dataset;

/** What the widget itself has been told: its own handlers, set in the plain way that the README shows. */
const told = [];
const core = new ChatixCore(website);

function setHandlers() {
  for (const name of ["onConnected", "onDisconnected", "onChatroomMessageReceived", "onConversationMessageReceived"]) {
    core[name] = (...parameters) => {
      told.push([name, JSON.parse(JSON.stringify(parameters))]);
    };
  }
}

async function startWidget() {
  const isConnected = await core.start();
  await core.connectToChatroom(chatroom);
  return isConnected;
}

window.chatixWidget = { core, told, start: startWidget, restart: () => core.stop().then(startWidget) };
if (start !== "no") {
  setHandlers();
  startWidget();
} else {
  // Later than whoever else has found the object by then.
  window.chatixWidget.setHandlers = setHandlers;
}
