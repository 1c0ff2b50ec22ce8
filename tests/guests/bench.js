// node tests/guests/bench.js NAME=FILE...: measures portals beside the built-in one, in rounds that take turns, and prints a
// table of medians. FILE is a component that the examples' commands have built; `rust` is the store of blobs.
// PORTICO is the program, target/release/portico by itself; ROUNDS=5.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { file } from '../clients/harness/content.js';
import { Program, done, folder } from '../clients/harness/process.js';
import { project } from '../clients/harness/settings.js';
import { address } from './address.js';

const MiB = 1 << 20;
const SIZE = 256 * MiB;
const SMALL = 300;
const HELD = 20;
const rounds = Number(process.env.ROUNDS ?? 5);
const portico = path.resolve(process.env.PORTICO ?? path.join(project, 'target/release/portico'));

class Portal {
  results = { put: [], putCpu: [], get: [], getCpu: [], small: [] };

  constructor(name, component) {
    Object.assign(this, { name, component });
  }

  async start() {
    const args = ['serve', '--store', `file:${folder('store')}`, '--listen', '127.0.0.1:0', '--log', 'warn'];
    const began = performance.now();
    this.server = new Program(portico, [...args, ...(this.component ? ['--portal', this.component] : [])]);
    this.url = await address(this.server);
    this.started = performance.now() - began;
    this.compiled = this.cpu();
    await this.put(file(1024));
    this.idle = this.memory();
  }

  /** Resident memory in MiB. */
  memory() {
    return this.status('VmRSS') / 1024;
  }

  status(name) {
    return Number(readFileSync(`/proc/${this.server.child.pid}/status`, 'utf8').match(new RegExp(`${name}:\\s+(\\d+)`))[1]);
  }

  /** Processor time in ms. */
  cpu() {
    const [user, system] = readFileSync(`/proc/${this.server.child.pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13);
    return (Number(user) + Number(system)) * 10;
  }

  address(content) {
    if (this.name === 'rust') return `${this.url}/blobs/${content.sha256}`;
    return `${this.url}/files/f${content.size}`;
  }

  async put(content) {
    const target = this.address(content);
    const said = await done('curl', ['-sSf', '-T', content.path, '-D', '-', '-o', '/dev/null', '-w', '%{time_total}', target]);
    this.location = new URL(said.match(/^location: (\S+)/im)[1], target).href;
    return Number(said.match(/[\d.]+$/)[0]);
  }

  async round(content) {
    const cpu = [this.cpu()];
    this.results.put.push(await this.put(content));
    cpu.push(this.cpu());
    this.results.get.push(Number(await done('curl', ['-sSf', '-o', '/dev/null', '-w', '%{time_total}', this.location])));
    cpu.push(this.cpu());
    this.results.putCpu.push(cpu[1] - cpu[0]);
    this.results.getCpu.push(cpu[2] - cpu[1]);
    await done('curl', ['-sSf', '-X', 'DELETE', this.location]);
  }

  /** Milliseconds of a small request, and of the processor. */
  async small() {
    await this.put(file(1024 + 1));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const cpu = this.cpu();
    for (let turn = 0; turn < SMALL; turn++) {
      const began = performance.now();
      await get(this.location, agent);
      this.results.small.push(performance.now() - began);
    }
    agent.destroy();
    this.smallCpu = (this.cpu() - cpu) / SMALL;
  }

  /** MiB of a request whose body is still to come. */
  async hold() {
    const before = this.memory();
    const held = Array.from({ length: HELD }, (_, number) => {
      const request = http.request(`${this.url}/files/held-${number}`, { method: 'PUT', headers: { 'content-length': 2 * MiB } });
      request.on('error', () => {});
      request.write(Buffer.alloc(10_000));
      return request;
    });
    // Time for the server to start the guests.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    this.held = (this.memory() - before) / HELD;
    for (const request of held) request.destroy();
  }
}

function get(url, agent) {
  return new Promise((resolve, reject) => {
    http.get(url, { agent }, (response) => response.resume().on('end', resolve)).on('error', reject);
  });
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

const portals = [new Portal('built-in')];
for (const argument of process.argv.slice(2)) {
  const [name, component] = argument.split('=');
  portals.push(new Portal(name, path.resolve(component)));
}
for (const portal of portals) await portal.start();
// Names stay taken after a delete, so each round has content of its own length.
for (let round = 0; round < rounds; round++) {
  const own = file(SIZE + round);
  for (const portal of portals) await portal.round(own);
}
for (const portal of portals) {
  await portal.small();
  if (portal.name !== 'built-in' && portal.name !== 'rust') await portal.hold();
}
console.log('| portal | start | its CPU | 256 MiB in | its CPU | 256 MiB out | its CPU | small request | its CPU | idle | held request |');
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
for (const { name, started, compiled, results, smallCpu, idle, held } of portals) {
  const cells = [
    `${(started / 1000).toFixed(1)} s`, `${(compiled / 1000).toFixed(1)} s`,
    `${median(results.put).toFixed(2)} s`, `${(median(results.putCpu) / 1000).toFixed(2)} s`,
    `${median(results.get).toFixed(2)} s`, `${(median(results.getCpu) / 1000).toFixed(2)} s`,
    `${median(results.small).toFixed(1)} ms`, `${smallCpu.toFixed(1)} ms`, `${idle.toFixed(0)} MiB`,
    held === undefined ? '' : `${held.toFixed(1)} MiB`,
  ];
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}
for (const portal of portals) await portal.server.stop();
