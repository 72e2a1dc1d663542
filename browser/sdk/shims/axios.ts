/** What chatix-core's `import axios from "axios"` is bundled to: its `get` and `post`, on `fetch`. */

import { rebase } from "./api-base";

interface AxiosAnswer {
  data: unknown;
  status: number;
}

/** Fails as axios does: `error.response.status` is what callers look at. */
export class RequestError extends Error {
  readonly response: AxiosAnswer;

  constructor(response: AxiosAnswer) {
    super(`Request failed with status code ${response.status}`);
    this.response = response;
  }
}

async function request(url: string, init: RequestInit): Promise<AxiosAnswer> {
  const answer = await fetch(rebase(url), { credentials: "same-origin", ...init });
  const response = { data: parse(await answer.text()), status: answer.status };
  if (!answer.ok) throw new RequestError(response);
  return response;
}

/** Text that is no JSON stays text: `GET /visitor/get-id` may answer either. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export default {
  get: (url: string) => request(url, {}),
  post: (url: string, body: BodyInit) => request(url, { method: "POST", body }),
};
