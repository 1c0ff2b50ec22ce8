// The code of a page of the documentation.

import path from 'node:path';
import { read } from './process.js';
import { project } from './settings.js';

/** Blocks of code below a comment `<!-- test: KIND -->`, with the title of their section. */
export function snippets(page) {
  const found = [];
  let section;
  let kind;
  let code;
  for (const line of read(path.join(project, 'docs', page)).split('\n')) {
    if (code) {
      if (line === '```') {
        found.push({ section, kind, code: code.join('\n') + '\n' });
        kind = code = undefined;
      } else code.push(line);
    } else if (line.startsWith('```') && kind) code = [];
    else if (line.startsWith('## ')) section = line.slice(3);
    else kind = line.match(/^<!-- test: (\S+) -->$/)?.[1] ?? kind;
  }
  return found;
}
