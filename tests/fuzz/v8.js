// v8.js — runs the modules FOLDER/*.wasm of wasmgen in node's engine: FOLDER/N.v8 gets a line an export, as N.sfi has.
'use strict';
const fs = require('fs');
const folder = process.argv[2];

for (const file of fs.readdirSync(folder).filter((f) => f.endsWith('.wasm'))) {
    let text = '';
    try {
        const instance = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(folder + '/' + file)), {});
        const names = Object.keys(instance.exports).filter((n) => n !== 'h').concat('h');
        for (const name of names) {
            try {
                text += name + ' i64 ' + BigInt.asUintN(64, instance.exports[name]()).toString(16) + '\n';
            } catch (e) {
                text += name + ' trap ' + e.message + '\n';
            }
        }
    } catch (e) {
        text = 'refused ' + e.message + '\n';
    }
    fs.writeFileSync(folder + '/' + file.replace('.wasm', '.v8'), text);
}
