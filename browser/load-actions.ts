/** What can be done with a comment comes with what writes them: who may change any has most often written one. */
export { loadWriting as loadActions } from "./load-writing";
