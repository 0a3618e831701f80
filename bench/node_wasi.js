// node_wasi.js — runs a WASI command under V8: node [FLAGS] node_wasi.js FILE.wasm [ARGS…]
//
// Prints a line of JSON, the last on standard error: "ns" is the CPU time of the run, "compile_s" that of compiling before it. The imports are wrapped:
// Node 20 aborts now and then when V8 calls its WASI functions directly after the memory has grown.
'use strict';
const fs = require('fs');
const {WASI} = require('wasi');
const [file, ...args] = process.argv.slice(2);
const wasi = new WASI({version: 'preview1', args: [file, ...args], returnOnExit: true});
const imports = {};
for (const [name, f] of Object.entries(wasi.wasiImport)) imports[name] = (...values) => f(...values);
const bytes = fs.readFileSync(file);
const started = process.cpuUsage();
const module_ = new WebAssembly.Module(bytes);
const compile = process.cpuUsage(started);
const instance = new WebAssembly.Instance(module_, {wasi_snapshot_preview1: imports});
const before = process.cpuUsage();
const status = wasi.start(instance);
const took = process.cpuUsage(before);
if (status) process.exit(status);
process.stderr.write(JSON.stringify({ns: [1000 * (took.user + took.system)], compile_s: (compile.user + compile.system) / 1e6}) + '\n');
