/**
 * Hear what somebody else's object tells by its callback properties, beside its owner.
 *
 * The owner's handler stays, whether it was set before or is set, replaced or wrapped later: the property
 * becomes one that keeps both. When nobody listens any more it is a plain property again, with the owner's
 * handler in it.
 */

import { guarded } from "./chat";

// biome-ignore lint/suspicious/noExplicitAny: a callback's parameters are its own business
type Callback = (...parameters: any[]) => unknown;

interface Chain {
  readonly ours: Set<Callback>;
  restore(): void;
}

const chains = new WeakMap<object, Map<string, Chain>>();

/** Call `callback` whenever `target` calls its property `name`, after the owner's handler. Returns how to end it. */
export function hearAlso<T extends object>(
  target: T,
  name: keyof T & string,
  callback: Callback,
): () => void {
  const ofTarget = chains.get(target) ?? new Map<string, Chain>();
  chains.set(target, ofTarget);
  const chain = ofTarget.get(name) ?? makeChain(target as Record<string, unknown>, name);
  ofTarget.set(name, chain);
  chain.ours.add(callback);
  return () => {
    chain.ours.delete(callback);
    if (chain.ours.size || ofTarget.get(name) !== chain) return;
    ofTarget.delete(name);
    chain.restore();
  };
}

function makeChain(target: Record<string, unknown>, name: string): Chain {
  const ours = new Set<Callback>();
  let isTelling = false;
  let theirs = target[name];
  const link = (handler: unknown) =>
    function (this: unknown, ...parameters: unknown[]): unknown {
      const tellOwner = () => (typeof handler === "function" ? handler.apply(this, parameters) : undefined);
      // The owner's handler wraps the one that it found here: ours are told by the outermost call.
      if (isTelling) return tellOwner();
      isTelling = true;
      try {
        return tellOwner();
      } finally {
        isTelling = false;
        for (const callback of [...ours]) guarded(() => callback(...parameters));
      }
    };
  let current = link(theirs);
  const get = () => current;
  const set = (handler: unknown) => {
    theirs = handler;
    current = link(handler);
  };
  Object.defineProperty(target, name, { get, set, enumerable: true, configurable: true });
  const restore = () => {
    if (Object.getOwnPropertyDescriptor(target, name)?.get !== get) return;
    const plain = { value: theirs, writable: true, enumerable: true, configurable: true };
    Object.defineProperty(target, name, plain);
  };
  return { ours, restore };
}
