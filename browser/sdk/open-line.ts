/** Open a line to a hub: a WebSocket of our own, and the published client only where that does not get through. */

import type { Line, LineEvents } from "./line";
import { loadFullClient } from "./load-full-client";
import { negotiate } from "./negotiate";
import { WebSocketLine } from "./web-socket-line";

/**
 * Rejects when there is no line, or none is wanted any more.
 *
 * @param methods Methods of ours that the hub may call.
 * @param hasHadWebSocket Whether one got through before: then the next one will, or the hub is down.
 */
export async function openLine(
  hubUrl: string,
  methods: readonly string[],
  events: LineEvents,
  signal: AbortSignal,
  hasHadWebSocket: boolean,
): Promise<Line> {
  const { connectionId, webSocketUrl } = await negotiate(hubUrl, signal);
  signal.throwIfAborted();
  if (webSocketUrl) {
    const line = new WebSocketLine(webSocketUrl, connectionId, events, signal);
    try {
      await line.ready;
      return line;
    } catch (error) {
      if (signal.aborted || hasHadWebSocket || line.hasOpened) throw error;
    }
  }
  const { openByFullClient } = await loadFullClient();
  signal.throwIfAborted();
  return openByFullClient(hubUrl, !webSocketUrl, methods, events, signal);
}
