"""summary.py — what isolation costs, in a few sentences whose numbers all come from one run's metrics. A sentence whose numbers were not measured is left out."""
import re
import statistics


def values(metrics, pattern):
    """The medians of the metrics whose whole name matches."""
    return [m['value'] for name, m in metrics.items() if re.fullmatch(pattern, name)]


def middle(metrics, pattern):
    found = values(metrics, pattern)
    return statistics.median(found) if found else None


def percent(ratio):
    return f'{ratio:.0%}'.replace('%', ' %')


def more(ratio):
    return f'{ratio - 1:.0%} more'.replace('%', ' %') if ratio >= 1 else f'{1 - ratio:.0%} less'.replace('%', ' %')


def calls(v):
    call, null = v(r'crossings\.call\.sandboxed'), v(r'crossings\.null\.sandboxed')
    if null is None:
        return None
    said = f'A call of another domain takes {null:.0f} cycles, where one inside a module takes {call:.0f}'
    linux, pipe = v(r'crossings\.linux\.syscall'), v(r'crossings\.linux\.pipe')
    return said + (f', a Linux system call {linux:.0f} and a Linux process and back {pipe:,.0f}.' if linux and pipe else '.')


def disks(v):
    deep, slow = v(r'hosted\.(virtio-blk|nvme)\..*\.(32|128)\.throughput'), v(r'hosted\.(virtio-blk|nvme)\..*\.throughput-10us')
    if deep is None or slow is None:
        return None
    return (f'With 32 or more requests in flight a sandboxed disk driver does {percent(deep)} of what its native twin does on this CPU, against a device that takes no time at all; '
            f'with one in flight, against a device that takes 10 µs, {percent(slow)}.')


def packets(v):
    extra = v(r'hosted\.(virtio-net|e1000e)\.(tx|rx)\..*\.32\.extra')
    ratio = v(r'hosted\.(virtio-net|e1000e)\.(tx|rx)\..*\.32\.throughput')
    return extra is not None and f'A packet costs {extra:.0f} cycles more in batches of 32, {percent(ratio)} of the native throughput where nothing but the driver takes time.'


def guest(v):
    native, linux = v(r'guest\.(virtio-blk|nvme)\..*\.throughput'), v(r'guest\.(virtio-blk|nvme)\..*\.against-linux')
    if native is None:
        return None
    said = f'In the guest, whole, the system with sandboxed disk drivers does {native:.2f} × the requests that it does with native ones'
    count = v(r'guest\.(virtio-blk|nvme)\.instructions\.32\.against-linux')
    return said + (f', and {linux:.1f} × those of Linux on the same machine, with {count:.2f} × its instructions at depth 32.' if linux and count else '.')


def http(v):
    count = v(r'http\..*\.instructions\.against-linux')
    return count is not None and f'An HTTP request takes {count:.2f} × the instructions that it takes a C server on Linux.'


def code(v):
    ours = v(r'compute\.all\.sfi')
    if ours is None:
        return None
    others = [f'{name} {more(x)}' for name, x in (('V8', v(r'compute\.all\.v8')), ('wasm2c', v(r'compute\.all\.wasm2c'))) if x]
    return f'Compiled code takes {more(ours)} CPU time than native code' + (f' ({", ".join(others)}).' if others else '.')


def fence(v):
    found = v(r'mechanisms\.fence\.nvme\.instructions\.32\.ratio')
    return found is not None and f'The IOMMU changes the instructions of a request at depth 32 by {100 * (1 / found - 1):+.1f} %.'


def lives(v):
    restart, boot = v(r'mechanisms\.restart\.[^.]*\.rest'), v(r'boot\.appliance\.first-HTTP-reply')
    said = []
    if restart is not None:
        said.append(f'A killed driver is ready again {restart:.0f} ms after its device\'s reset')
    if boot is not None:
        said.append(f'the appliance answers its first HTTP request {boot:.0f} ms after the firmware')
    text = ', and '.join(said)
    return text and f'{text[0].upper()}{text[1:]} (emulated).'


def sentences(metrics):
    def v(pattern):
        return middle(metrics, pattern)
    return [s for s in (f(v) for f in (calls, disks, packets, guest, http, code, fence, lives)) if s]
