import { becomeNode } from './become-node.mjs';

// `node gateway/setup/node.mjs FILE …` runs a TypeScript file with the project's own Node, whichever Node npm runs on.
becomeNode(process.argv.slice(2));
