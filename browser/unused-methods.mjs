/**
 * Leave methods out of a bundle that nobody calls, as bundlers do with functions.
 *
 * By their names: a method stays if any code that stays has its name in it, in whatever meaning. So no call can go
 * wrong that is written out; one by a name that is put together at run time could.
 */

import { parse } from "acorn";

export const wordsIn = (text) => text.match(/[A-Za-z_$][\w$]*/g) ?? [];

/** @param used Names that are used outside of `text`. */
export function withoutUnusedMethods(text, used) {
  const methods = methodsIn(parse(text, { ecmaVersion: "latest", sourceType: "module" }));
  const live = new Set([...used, ...wordsIn(without(text, methods))]);
  let unused = methods;
  for (;;) {
    const reached = unused.filter(({ key }) => live.has(key.name));
    if (reached.length === 0) return without(text, unused);
    for (const { value } of reached)
      for (const word of wordsIn(text.slice(value.start, value.end))) live.add(word);
    unused = unused.filter((method) => !reached.includes(method));
  }
}

/** Methods by plain names, in their order. */
function methodsIn(node) {
  if (Array.isArray(node)) return node.flatMap(methodsIn);
  if (typeof node?.type !== "string") return [];
  const isMethod =
    node.type === "MethodDefinition" && node.kind === "method" && node.key.type === "Identifier";
  return isMethod ? [node] : Object.values(node).flatMap(methodsIn);
}

function without(text, nodes) {
  let rest = "";
  let position = 0;
  for (const { start, end } of nodes) {
    rest += text.slice(position, start);
    position = end;
  }
  return rest + text.slice(position);
}
