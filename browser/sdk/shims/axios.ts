/** What chatix-core's `import axios from "axios"` is bundled to: its `get` on `fetch`, its `post` as an upload. */

import { rebase } from "./api-base";

type Upload = (url: string, body: FormData) => Promise<{ status: number; text: string }>;

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

function answer(status: number, text: string): AxiosAnswer {
  const response = { data: parse(text), status };
  if (status < 200 || status > 299) throw new RequestError(response);
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

async function get(url: string): Promise<AxiosAnswer> {
  const response = await fetch(rebase(url), { credentials: "same-origin" });
  return answer(response.status, await response.text());
}

let upload: Upload;

/** Say what sends forms; it comes with what makes them. */
export function uploadBy(sender: Upload): void {
  upload = sender;
}

async function post(url: string, body: FormData): Promise<AxiosAnswer> {
  const { status, text } = await upload(rebase(url), body);
  return answer(status, text);
}

export default { get, post };
