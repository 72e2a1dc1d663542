/** Changes of comments that are in the thread. */

import type { Changer } from "./comment-actions";
import type { Desk } from "./delivery";
import { type Chat, LineError, noLine } from "./sdk/chat";
import { postingOf } from "./sdk/posting";

/** What the line broke off may be settled by the next one; but this one may be up by then, or have been up all the time. */
export const LOOK_AGAIN_MS = 3000;

/** Return the chat. Throws LineError while there is none. */
export function liveChatOf(desk: Desk): Chat {
  const chat = desk.liveChat();
  if (!chat) throw noLine();
  return chat;
}

/** @param lookAgain Tries again what the line broke off, if there is one. */
export function changerOf(desk: Desk, lookAgain: () => void): Changer {
  const change = async (action: (chat: Chat) => Promise<void>) => {
    try {
      await action(liveChatOf(desk));
    } catch (error) {
      if (error instanceof LineError) setTimeout(lookAgain, LOOK_AGAIN_MS);
      throw error;
    }
  };
  return {
    edit: (id, text) => change(async (chat) => desk.edited(await postingOf(chat).edit(id, text))),
    remove: (id) =>
      change((chat) =>
        postingOf(chat)
          .remove(id)
          .then(() => desk.removed(id)),
      ),
  };
}
