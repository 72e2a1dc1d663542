/** The published SignalR client, for where a plain WebSocket does not do: a part of its own. */

import { HttpTransportType, HubConnectionBuilder, LogLevel } from "@microsoft/signalr";
import { type Line, type LineEvents, SERVER_TIMEOUT_MS } from "./line";

const ALL = HttpTransportType.WebSockets | HttpTransportType.ServerSentEvents | HttpTransportType.LongPolling;

/**
 * Connect by whatever gets through.
 *
 * @param mayUseWebSocket Whether that was not tried before.
 * @param methods Methods of ours that the hub may call.
 * @param signal Says that the line is not wanted any more.
 */
export async function openByFullClient(
  url: string,
  mayUseWebSocket: boolean,
  methods: Iterable<string>,
  events: LineEvents,
  signal: AbortSignal,
): Promise<Line> {
  const transport = mayUseWebSocket ? ALL : ALL & ~HttpTransportType.WebSockets;
  const connection = new HubConnectionBuilder()
    .withUrl(url, { transport })
    // Its lines hold URLs, and with them tickets.
    .configureLogging(LogLevel.None)
    .build();
  connection.serverTimeoutInMilliseconds = SERVER_TIMEOUT_MS;
  connection.onclose((error) => events.closed(error));
  const listen = (method: string) =>
    connection.on(method, (...parameters) => events.told(method, parameters));
  for (const method of methods) listen(method);
  const stop = () => connection.stop();
  signal.addEventListener("abort", stop);
  try {
    await connection.start();
  } finally {
    signal.removeEventListener("abort", stop);
  }
  return {
    connectionId: connection.connectionId,
    invoke: (method, parameters) => connection.invoke(method, ...parameters),
    listen,
    stop,
  };
}
