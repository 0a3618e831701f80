// node.js — times one kernel under V8: node [FLAGS] node.js FILE.wasm N CALLS
//
// Prints the same line of JSON as run.c. CPU time is the whole process's, which runs no other work by then: with
// --no-liftoff --no-wasm-tier-up every function is compiled by the optimising tier before or in the first call, which is not counted.
'use strict';
const fs = require('fs');
const [file, n, calls] = process.argv.slice(2);
const bytes = fs.readFileSync(file);
const started = process.cpuUsage();
const module_ = new WebAssembly.Module(bytes);
const instance = new WebAssembly.Instance(module_, {});
const spent = process.cpuUsage(started);
const ns = [];
let sum;
for (let i = 0; i <= Number(calls); i++) {
    const before = process.cpuUsage();
    const result = BigInt.asUintN(64, instance.exports.kernel(Number(n)));
    const took = process.cpuUsage(before);
    if (i && result !== sum) {
        console.error(`node.js: two calls, two results: ${sum.toString(16)}, ${result.toString(16)}`);
        process.exit(1);
    }
    sum = result;
    if (i) ns.push(1000 * (took.user + took.system));
}
console.log(JSON.stringify({ns, compile_s: (spent.user + spent.system) / 1e6, checksum: sum.toString(16).padStart(16, '0')}));
