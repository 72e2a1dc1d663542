/** What is loaded for readers who are known again. */

export { LastVisit } from "./last-visit";
export { leaveLeftBehind } from "./left-behind";
export { NotedStay } from "./noted-stay";
