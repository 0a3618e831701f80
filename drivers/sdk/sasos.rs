// sasos.rs — the SDK for modules in Rust, as far as its drivers need it: kernel calls, errors, events, device registers, log.
//
// Included by a module's one source (`include!`), no crate and no allocator: the ABI is WebAssembly's own, numbers in and numbers out.
// The rows are those of sasos/run/hostcall.def, and mean the same.

#[link(wasm_import_module = "sasos1")]
extern "C" {
    #[link_name = "log"]
    fn sasos_log(text: *const u8, length: u32) -> i32;
    #[link_name = "time_ns"]
    fn sasos_time_ns() -> i64;
    #[link_name = "timer"]
    fn sasos_timer(at_ns: i64) -> i32;
    #[link_name = "entropy_add"]
    fn sasos_entropy_add(bytes: *const u8, length: u32) -> i32;
    #[link_name = "pci_config_read"]
    fn sasos_pci_config_read(offset: u32, bytes: u32) -> i32;
    #[link_name = "pci_bar_map"]
    fn sasos_pci_bar_map(bar: u32, offset: u32, bytes: u32) -> u32;
    #[link_name = "pci_enable"]
    fn sasos_pci_enable() -> i32;
    #[link_name = "dma_alloc"]
    fn sasos_dma_alloc(bytes: u32) -> u32;
    #[link_name = "irq_enable"]
    fn sasos_irq_enable(vector: u32) -> i32;
    #[link_name = "dma_mode"]
    fn sasos_dma_mode() -> i32;
    #[link_name = "virtio_start"]
    fn sasos_virtio_start(features: i64) -> i64;
    #[link_name = "virtio_queue"]
    fn sasos_virtio_queue(queue: u32, size: u32, desc: u32, avail: u32, used: u32, vector: u32) -> i32;
    #[link_name = "virtio_state"]
    fn sasos_virtio_state(bits: u32) -> i32;
    #[link_name = "virtq_publish"]
    fn sasos_virtq_publish(queue: u32) -> i32;
    #[link_name = "virtq_collect"]
    fn sasos_virtq_collect(queue: u32) -> i32;
}

const E_NOMEM: i32 = -5;
const E_NODEV: i32 = -11;
const EVENT_TIMER: u32 = 1 << 16;
const DMA_SHADOW: i32 = 1;
const VIRTIO_RESET: u32 = 256;

// Device registers and memory shared with a device: one access of exactly that width, in program order.
fn read<T: Copy>(address: u32) -> T {
    unsafe { core::ptr::read_volatile(address as usize as *const T) }
}
fn write<T>(address: u32, value: T) {
    unsafe { core::ptr::write_volatile(address as usize as *mut T, value) }
}

// What `write!` needs to make a line of the log; what does not fit is cut off.
struct Line {
    text: [u8; 160],
    length: usize,
}
impl core::fmt::Write for Line {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        for &byte in s.as_bytes() {
            if let Some(place) = self.text.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}
macro_rules! log_line {
    ($($words:tt)*) => {{
        let mut line = Line { text: [0; 160], length: 0 };
        let _ = core::fmt::Write::write_fmt(&mut line, format_args!($($words)*));
        unsafe { sasos_log(line.text.as_ptr(), line.length as u32) };
    }};
}

// A panic is a trap: the domain ends, and the kernel says where.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
