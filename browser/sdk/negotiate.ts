/** Ask a hub for a connection (TransportProtocols.md, "POST [endpoint-base]/negotiate request"). */

export interface Negotiated {
  readonly connectionId: string | null;
  /** Where its WebSocket is; `null` where the answer asks for anything but a plain one. */
  readonly webSocketUrl: string | null;
}

interface Answer {
  readonly error?: string;
  /** The hub is elsewhere. */
  readonly url?: string;
  readonly connectionId?: string;
  readonly connectionToken?: string;
  readonly availableTransports?: readonly { readonly transport: string }[];
}

/** Rejects with the status that was answered in its message, as the published client does. */
export async function negotiate(hubUrl: string, signal: AbortSignal): Promise<Negotiated> {
  const [base, query] = hubUrl.split("?");
  // No header of our own: with one, a hub on another origin would be asked twice.
  const response = await fetch(`${base}/negotiate?${query}&negotiateVersion=1`, {
    method: "POST",
    credentials: "include",
    signal,
  });
  if (response.status !== 200) throw new Error(`There is no connection: Status code '${response.status}'`);
  const answer: Answer = await response.json();
  if (answer.error) throw new Error(answer.error);
  const { connectionId = null, connectionToken = connectionId } = answer;
  const hasWebSocket = answer.availableTransports?.some(({ transport }) => transport === "WebSockets");
  const isPlain = hasWebSocket && !answer.url && "WebSocket" in globalThis;
  const webSocketUrl = isPlain ? `${base?.replace(/^http/, "ws")}?${query}&id=${connectionToken}` : null;
  return { connectionId, webSocketUrl };
}
