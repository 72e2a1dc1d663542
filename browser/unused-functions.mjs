/**
 * Leave functions out of the SDK that nobody calls, as bundlers do with functions that have names of their own.
 *
 * That is, methods; functions that are put on an object, such as `this.onConnected = () => {}`; and what listens to the
 * hub on the SDK's own behalf, which does nothing but call these. It goes by names: a function stays if any code that
 * stays has its name in it, in whatever meaning. So no call can go wrong that is written out; one by a name that is put
 * together at run time could. Methods of the class that the SDK hands out are for those who use it: that others in it
 * have the same names does not keep them.
 */

import { parse } from "acorn";

const HANDED_OUT = "ChatixCore";

export const wordsIn = (text) => text.match(/[A-Za-z_$][\w$]*/g) ?? [];

/**
 * Return the names by which functions of `text` are reached.
 *
 * @param used Names that are used outside of `text`.
 */
export function reachedNames(text, used) {
  let waiting = functionsIn(text);
  const handedOut = [...used].map((word) => `${HANDED_OUT}.${word}`);
  const live = new Set([...used, ...handedOut, ...wordsIn(without(text, waiting))]);
  for (;;) {
    const reached = waiting.filter(({ name }) => live.has(name));
    if (reached.length === 0) return live;
    for (const { body } of reached) for (const word of wordsIn(without(text, waiting, body))) live.add(word);
    waiting = waiting.filter((one) => !reached.includes(one));
  }
}

/** Return `text` without the functions that are not among the names that are reached. */
export function withoutUnused(text, reached) {
  const unused = functionsIn(text).filter(({ name }) => !reached.has(name));
  return without(text, unused);
}

/** What can be left out, in its order; `name` is `null` for what nobody can ask for. */
function functionsIn(text) {
  const found = [];
  visit(parse(text, { ecmaVersion: "latest", sourceType: "module" }), "", found);
  return found;
}

/** @param prefix What the names of methods begin with. */
function visit(node, prefix, found) {
  if (Array.isArray(node)) for (const one of node) visit(one, prefix, found);
  if (typeof node?.type !== "string") return;
  const one = methodIn(node, prefix) ?? assignedIn(node) ?? listenerIn(node);
  if (one) found.push({ ...one, start: node.start, end: node.end });
  const inside = node.id?.name === HANDED_OUT ? `${HANDED_OUT}.` : prefix;
  for (const child of Object.values(node)) visit(child, inside, found);
}

const isFunction = ({ type }) => type === "FunctionExpression" || type === "ArrowFunctionExpression";

/** By a plain name. */
function methodIn({ type, kind, key, value }, prefix) {
  const isMethod = type === "MethodDefinition" && kind === "method" && key.type === "Identifier";
  return isMethod ? { name: prefix + key.name, body: value } : null;
}

/** `this.chat.onConnected = () => {};` */
function assignedIn({ type, expression }) {
  if (type !== "ExpressionStatement" || expression.type !== "AssignmentExpression") return null;
  const { left, right } = expression;
  const isMember = left.type === "MemberExpression" && left.property.type === "Identifier" && !left.computed;
  return isMember && isFunction(right) ? { name: left.property.name, body: right } : null;
}

/** `this.hubConnection.on("Event", () => {});` */
function listenerIn({ type, expression }) {
  if (type !== "ExpressionStatement" || expression.type !== "CallExpression") return null;
  const { callee, arguments: given } = expression;
  const isOn =
    callee.type === "MemberExpression" &&
    callee.property.name === "on" &&
    callee.object.property?.name === "hubConnection";
  return isOn && given.length === 2 && isFunction(given[1]) ? { name: null, body: given[1] } : null;
}

/** Return `text`, or one node's part of it, without these nodes. */
function without(text, nodes, { start, end } = { start: 0, end: text.length }) {
  let rest = "";
  let position = start;
  for (const node of nodes) {
    if (node.start < position || node.end > end) continue;
    rest += text.slice(position, node.start);
    position = node.end;
  }
  return rest + text.slice(position, end);
}
