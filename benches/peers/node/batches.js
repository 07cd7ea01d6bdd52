// Reads batches and tells their last results; ours/src/main.rs says how.
'use strict';

const { readFileSync } = require('node:fs');
const { createInterface } = require('node:readline');

/** Asks `library` for what each line wants: `header(method, target, body)`, `notice(headers, body)`. */
module.exports = async function batches(library) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [work, count, ...file] = line.split(' ');
    const message = readFileSync(file.join(' '), 'utf8');
    const end = message.indexOf('\n\n');
    const [head, body] = [message.slice(0, end), message.slice(end + 2)];
    try {
      console.log(`ok ${await doing[work](library, Number(count), head, body)}`);
    } catch (error) {
      console.log(`no ${error.message.replace(/\s+/g, ' ')}`);
    }
  }
};

const doing = {
  async header(library, count, head, body) {
    const [method, target] = head.split(' ');
    let last;
    for (let done = 0; done < count; done += 1) last = library.header(method, target, body);
    return last;
  },
  async notice(library, count, head, body) {
    const headers = Object.fromEntries(head.split('\n').map((line) => line.split(': ')));
    let last;
    for (let done = 0; done < count; done += 1) last = await library.notice(headers, body);
    return last;
  },
};
