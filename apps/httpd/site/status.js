// status.js — asks the machine once a second and draws what it says. No resources from elsewhere, nothing is kept but two minutes of numbers.
'use strict';
const SAMPLES = 120, PERIOD = 1000;
const $ = id => document.getElementById(id);
const samples = new Map();   // what is drawn: name -> the last SAMPLES numbers
const before = new Map();    // counters at the last look
let token = '', last = 0, failures = 0, dead = new Map();

function element(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith('on')) e.addEventListener(name.slice(2), value); else if (value !== null) e.setAttribute(name, value);
  e.append(...children);
  return e;
}
function bytes(n) {
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (Math.abs(n) < 1024 || unit === 'GiB') return (n < 10 && unit !== 'B' ? n.toFixed(1) : Math.round(n)) + ' ' + unit;
    n /= 1024;
  }
}
function number(n) {
  if (Math.abs(n) >= 1e6) return (n / 1e6).toFixed(1) + ' M';
  if (Math.abs(n) >= 1e4) return (n / 1e3).toFixed(1) + ' k';
  return Number.isInteger(n) ? String(n) : n.toFixed(1);
}
function duration(s) {
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  const rest = String(Math.floor(s) % 60).padStart(2, '0');
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min ${rest} s` : `${rest} s`;
}
function remember(name, value) {
  const list = samples.get(name) || [];
  list.push(value);
  if (list.length > SAMPLES) list.shift();
  samples.set(name, list);
  return list;
}
// Growth a second of a counter since the last look; a smaller value is a new life of whoever counts.
function rate(name, value, seconds) {
  const old = before.get(name);
  before.set(name, value);
  return old === undefined || seconds <= 0 ? 0 : Math.max(0, value < old ? value : value - old) / seconds;
}
function draw(svg, list, top = 0) {
  const w = SAMPLES - 1, h = 40, most = Math.max(top, ...list, 1e-9);
  const points = list.map((v, i) => `${w - list.length + 1 + i},${(h - v / most * (h - 2)).toFixed(1)}`);
  const over = svg.querySelector('.over') || svg.appendChild(document.createElementNS(svg.namespaceURI, 'path'));
  const under = svg.querySelector('.under') || svg.insertBefore(document.createElementNS(svg.namespaceURI, 'path'), over);
  svg.setAttribute('viewBox', `0 0 ${w} ${h}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  over.setAttribute('class', 'over');
  under.setAttribute('class', 'under');
  over.setAttribute('d', 'M' + points.join('L'));
  under.setAttribute('d', `M${w - list.length + 1},${h}L${points.join('L')}L${w},${h}Z`);
}
function graph(label) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'graph');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  return svg;
}

async function control(op, name, button) {
  button.disabled = true;
  try {
    const answer = await fetch('control', {method: 'POST', headers: {'X-Token': token}, body: new URLSearchParams({op, name})});
    if (!answer.ok) alert(await answer.text());
  } catch { /* the connection went through the driver that was asked to crash */ }
  setTimeout(() => button.disabled = false, 1500);
}

function card(d) {
  const e = element('article', {class: 'domain', 'data-name': d.name});
  e.append(element('div', {class: 'top'}, element('strong', {}, d.name), element('span', {class: 'quiet'}, d.kind || ''),
                   element('span', {class: 'state'})),
           element('ul', {class: 'tags'}), graph('CPU time of ' + d.name), element('dl'), element('div', {class: 'rates'}),
           element('p', {class: 'end'}));
  if (d.kind === 'driver')
    e.append(element('div', {class: 'buttons'},
                     element('button', {class: 'crash', onclick: event => control('kill', d.name, event.target)}, 'Crash'),
                     element('button', {onclick: event => control('restart', d.name, event.target)}, 'Restart')));
  return e;
}
function grants(d) {
  const list = ['memory ≤ ' + bytes(d.memory_max)];
  if (d.pci) list.push('device ' + d.pci);
  if (d.dma_max) list.push('DMA ≤ ' + bytes(d.dma_max));
  if (d.channels) list.push(d.channels + (d.channels === 1 ? ' channel' : ' channels'));
  return list;
}
function show(d, seconds) {
  const folder = $('domains');
  let e = [...folder.children].find(c => c.dataset.name === d.name);
  if (!e) folder.append(e = card(d));
  const cpu = rate(d.name + ' cpu', d.cpu_ns / 1e9, seconds) * 100, state = e.querySelector('.state');
  state.textContent = d.state;
  state.className = 'state ' + (d.state === 'not loaded' ? 'dead' : d.state === 'ended' && d.faults ? 'faulty' : d.state);
  if (dead.get(d.name) !== undefined && d.faults > dead.get(d.name)) {
    e.classList.add('fell');
    setTimeout(() => e.classList.remove('fell'), 4000);
  }
  dead.set(d.name, d.faults);
  const tags = grants(d);
  if (e.querySelector('.tags').children.length !== tags.length)
    e.querySelector('.tags').replaceChildren(...tags.map(t => element('li', {}, t)));
  draw(e.querySelector('.graph'), remember(d.name + ' cpu', cpu), 5);
  const rows = [['CPU', cpu.toFixed(1) + ' %'], ['memory', bytes(d.memory)]];
  if (d.dma_max) rows.push(['DMA pages', bytes(d.dma)]);
  if (d.interrupts) rows.push(['interrupts', number(rate(d.name + ' irq', d.interrupts, seconds)) + ' / s']);
  if (d.lives > 1 || d.faults) rows.push(['starts', d.lives], ['faults', d.faults]);
  e.querySelector('dl').replaceChildren(...rows.flatMap(([k, v]) => [element('dt', {}, k), element('dd', {}, String(v))]));
  const rates = e.querySelector('.rates');
  Object.entries(d.counters || {}).forEach(([name, value], i) => {
    if (!rates.children[i])
      rates.append(element('div', {}, element('span', {title: name}, element('span', {}, name.replaceAll('_', ' ')), element('b')), graph(name + ' of ' + d.name)));
    const growth = rate(`${d.name} ${name}`, value, seconds);
    rates.children[i].querySelector('b').textContent = growth ? (name.includes('bytes') ? bytes(growth) : number(growth)) + '/s'
      : name.includes('bytes') ? bytes(value) : number(value); // what does not grow is told as it is
    draw(rates.children[i].querySelector('svg'), remember(`${d.name} ${name}`, growth));
  });
  e.querySelector('.end').textContent = d.faults ? d.end : '';
}

async function look() {
  try {
    const [status, server] = await Promise.all(['api/status', 'api/server'].map(async a => {
      const answer = await fetch(a, {signal: AbortSignal.timeout(5000)});
      if (!answer.ok) throw Error(await answer.text());
      return answer.json();
    }));
    const s = status.system, at = s.time_ns / 1e9, seconds = last ? at - last : 0, used = s.memory - s.memory_free;
    last = at;
    token = server.token;
    $('machine').textContent = `${s.cpus} CPU${s.cpus === 1 ? '' : 's'} · ${s.cpu.trim()}`;
    $('up').textContent = duration(at);
    $('clock').textContent = s.wall_ns ? new Date(s.wall_ns / 1e6).toISOString().replace('T', ' ').slice(0, 19) + ' UTC' : '';
    const cpu = rate('cpu', status.domains.reduce((sum, d) => sum + d.cpu_ns, 0) / 1e9, seconds) * 100;
    $('cpu').textContent = cpu.toFixed(0) + ' %';
    draw($('cpu-graph'), remember('cpu', cpu), 25);
    $('memory').textContent = bytes(used);
    draw($('memory-graph'), remember('memory', used), s.memory / 4);
    const requests = rate('requests', server.requests, seconds);
    $('requests').textContent = number(Math.round(requests)) + ' / s';
    draw($('requests-graph'), remember('requests', requests), 10);
    $('fence').textContent = s.dma_fenced ? 'fenced' : 'not fenced';
    $('fence').className = 'big ' + (s.dma_fenced ? 'running' : 'faulty');
    $('fence-more').textContent = (s.dma_fenced ? `by ${s.iommu}, ` : '') + number(s.dma_faults) + ' blocked';
    for (const d of status.domains) show(d, seconds);
    const log = await (await fetch('api/log')).text(), box = $('log'), bottom = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    if (box.textContent !== log) box.textContent = log;
    if (bottom) box.scrollTop = box.scrollHeight;
    failures = 0;
  } catch { failures++; }
  $('link').textContent = failures > 1 ? 'no answer, trying again …' : '';
  $('link').className = failures > 1 ? 'restarting' : '';
  setTimeout(look, PERIOD);
}

async function notes() {
  try {
    const answer = await fetch('notes/');
    if (!answer.ok) { $('note-said').textContent = await answer.text(); return; }
    $('notes').replaceChildren(...(await answer.json()).map(name => element('li', {},
      element('a', {href: 'notes/' + name, onclick: async event => {
        event.preventDefault();
        $('note-name').value = name;
        $('note-text').value = await (await fetch('notes/' + name)).text();
      }}, name),
      element('button', {'aria-label': 'Delete ' + name, onclick: async () => {
        const answer = await fetch('notes/' + name, {method: 'DELETE'});
        $('note-said').textContent = answer.ok ? 'Deleted.' : await answer.text();
        notes();
      }}, 'Delete'))));
  } catch { setTimeout(notes, 2000); }
}
$('note').addEventListener('submit', async event => {
  event.preventDefault();
  try {
    const answer = await fetch('notes/' + $('note-name').value, {method: 'PUT', body: $('note-text').value});
    $('note-said').textContent = await answer.text();
  } catch { $('note-said').textContent = 'No answer.'; }
  notes();
});
notes();
look();
