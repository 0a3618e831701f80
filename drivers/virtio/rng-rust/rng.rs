// rng.rs — the virtio entropy driver once more (drivers/virtio/rng is the one in C), in Rust: the same verbs, the same grants, the same device.
// Clauses: Virtual I/O Device (VIRTIO) Version 1.2; the device is 5.4.
//
// One descriptor, one buffer, which is with the device at any time. What it writes is input: an answer for another descriptor, or of an impossible
// length, resets it for good. Without an IOMMU the kernel has the device's registers and rings, and these are their shadows (docs/abi.md). The first answer is waited for (PATIENCE_NS), then one is asked for each INTERVAL_NS.
#![no_std]
#![no_main]
include!("../../sdk/sasos.rs");

// 4.1.4.3 Common configuration structure
const DEVICE_FEATURE_SELECT: u32 = 0;
const DEVICE_FEATURE: u32 = 4;
const DRIVER_FEATURE_SELECT: u32 = 8;
const DRIVER_FEATURE: u32 = 12;
const CONFIG_MSIX_VECTOR: u32 = 16;
const DEVICE_STATUS: u32 = 20;
const QUEUE_SELECT: u32 = 22;
const QUEUE_SIZE: u32 = 24;
const QUEUE_MSIX_VECTOR: u32 = 26;
const QUEUE_ENABLE: u32 = 28;
const QUEUE_NOTIFY_OFF: u32 = 30;
const QUEUE_DESC: u32 = 32;
const QUEUE_DRIVER: u32 = 40;
const QUEUE_DEVICE: u32 = 48;
const COMMON_SIZE: u32 = 56;

// 2.1 Device status field
const ACKNOWLEDGE: u8 = 1;
const DRIVER: u8 = 2;
const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;

// 6 Reserved feature bits, those of the second word: VERSION_1 and ACCESS_PLATFORM. Without the latter the device's DMA would go round the IOMMU.
const FEATURES_HIGH: u32 = 1 << 0 | 1 << 1;

const PCI_CAPABILITIES: u32 = 0x34;
const PCI_CAP_VENDOR: u32 = 0x09;
const CAP_COMMON: u32 = 1;
const CAP_NOTIFY: u32 = 2;
const NO_VECTOR: u16 = 0xffff;
const DESC_F_WRITE: u64 = 2;

const BYTES: u32 = 64;
const INTERVAL_NS: i64 = 60_000_000_000;
const PATIENCE_NS: i64 = 200_000_000;
const RESET_TRIES: u32 = 1_000_000;

struct Rng {
    shadow: bool, // then there is neither of the next two
    common: u32,
    doorbell: u32,
    avail: u32,
    used: u32,
    buffer: u32,
    asked: u16, // answers that were asked for, mod 2^16
    taken: u16, // answers that were taken
    given: u64, // bytes
    failed: bool,
}

fn config(offset: u32, bytes: u32) -> u32 {
    unsafe { sasos_pci_config_read(offset, bytes) as u32 }
}

fn map(cap: u32, least: u32) -> u32 {
    if config(cap + 12, 4) < least {
        return 0;
    }
    unsafe { sasos_pci_bar_map(config(cap + 4, 1), config(cap + 8, 4), config(cap + 12, 4)) }
}

// 4.1.4: the first structure of each type that can be mapped counts. Common, notify and notify_off_multiplier.
fn structures() -> Option<(u32, u32, u32)> {
    let (mut common, mut notify, mut multiplier) = (0, 0, 0);
    let mut cap = config(PCI_CAPABILITIES, 1) & 0xfc;
    for _ in 0..48 { // bounded: the list may be a loop
        if cap < 0x40 {
            break;
        }
        let head = config(cap, 4);
        match (head & 0xff, head >> 24) {
            (PCI_CAP_VENDOR, CAP_COMMON) if common == 0 => common = map(cap, COMMON_SIZE),
            (PCI_CAP_VENDOR, CAP_NOTIFY) if notify == 0 => {
                notify = map(cap, 2);
                multiplier = config(cap + 16, 4);
            }
            _ => (),
        }
        cap = head >> 8 & 0xfc;
    }
    if common != 0 && notify != 0 { Some((common, notify, multiplier)) } else { None }
}

fn reset(common: u32) {
    write(common + DEVICE_STATUS, 0u8);
    for _ in 0..RESET_TRIES { // 4.1.4.3.2: until it reads 0 back
        if read::<u8>(common + DEVICE_STATUS) == 0 {
            break;
        }
    }
}

// 3.1.1, steps 1 to 6.
fn negotiate(common: u32) -> Result<(), i32> {
    reset(common);
    write(common + DEVICE_STATUS, ACKNOWLEDGE);
    write(common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER);
    write(common + DEVICE_FEATURE_SELECT, 1u32);
    if read::<u32>(common + DEVICE_FEATURE) & FEATURES_HIGH != FEATURES_HIGH {
        log_line!("the device does not offer VERSION_1 and ACCESS_PLATFORM: refused (QEMU: give it iommu_platform=on)");
        return Err(E_NODEV);
    }
    write(common + DRIVER_FEATURE_SELECT, 0u32);
    write(common + DRIVER_FEATURE, 0u32);
    write(common + DRIVER_FEATURE_SELECT, 1u32);
    write(common + DRIVER_FEATURE, FEATURES_HIGH);
    write(common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if read::<u8>(common + DEVICE_STATUS) & FEATURES_OK == 0 {
        return Err(E_NODEV);
    }
    write(common + CONFIG_MSIX_VECTOR, NO_VECTOR);
    Ok(())
}

// 3.1.1, steps 7 and 8: a queue of one entry. Its doorbell.
fn start_queue(common: u32, notify: u32, multiplier: u32, desc: u32, avail: u32, used: u32) -> Result<u32, i32> {
    write(common + QUEUE_SELECT, 0u16);
    if read::<u16>(common + QUEUE_SIZE) == 0 {
        return Err(E_NODEV);
    }
    write(common + QUEUE_SIZE, 1u16);
    write(common + QUEUE_MSIX_VECTOR, 0u16);
    write(common + QUEUE_DESC, desc as u64);
    write(common + QUEUE_DRIVER, avail as u64);
    write(common + QUEUE_DEVICE, used as u64);
    let doorbell = notify + read::<u16>(common + QUEUE_NOTIFY_OFF) as u32 * multiplier;
    write(common + QUEUE_ENABLE, 1u16);
    write(common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    Ok(doorbell)
}

impl Rng {
    fn open() -> Result<Rng, i32> {
        let shadow = unsafe { sasos_dma_mode() } == DMA_SHADOW;
        let (common, notify, multiplier) = if shadow { (0, 0, 0) } else { structures().ok_or(E_NODEV)? };
        for error in [unsafe { sasos_pci_enable() }, unsafe { sasos_irq_enable(0) }] {
            if error != 0 {
                return Err(error);
            }
        }
        if !shadow {
            negotiate(common)?;
        } else if unsafe { sasos_virtio_start(0) } < 0 {
            return Err(E_NODEV);
        }
        // A queue of one entry: its three parts (2.7) in one page, the buffer behind them.
        let memory = unsafe { sasos_dma_alloc(4096) };
        if memory == 0 {
            return Err(E_NOMEM);
        }
        let (desc, avail, used, buffer) = (memory, memory + 64, memory + 128, memory + 256);
        write(desc, buffer as u64);
        write(desc + 8, BYTES as u64 | DESC_F_WRITE << 32);
        let mut doorbell = 0;
        if shadow {
            let set_up = unsafe { sasos_virtio_queue(0, 1, desc, avail, used, 0) == 1 && sasos_virtio_state(DRIVER_OK as u32) >= 0 };
            if !set_up {
                return Err(E_NODEV);
            }
        } else {
            doorbell = start_queue(common, notify, multiplier, desc, avail, used)?;
        }
        Ok(Rng { shadow, common, doorbell, avail, used, buffer, asked: 0, taken: 0, given: 0, failed: false })
    }

    fn waiting(&self) -> bool {
        self.asked != self.taken && !self.failed
    }

    fn ask(&mut self) {
        if self.failed || self.waiting() {
            return;
        }
        self.asked = self.asked.wrapping_add(1);
        write(self.avail + 4, 0u16); // the entry before the index
        write(self.avail + 2, self.asked);
        if self.shadow {
            unsafe { sasos_virtq_publish(0) };
        } else {
            write(self.doorbell, 0u16);
        }
    }

    fn take(&mut self) {
        if !self.waiting() || (self.shadow && unsafe { sasos_virtq_collect(0) } < 0) || read::<u16>(self.used + 2) == self.taken {
            return;
        }
        let (id, length) = (read::<u32>(self.used + 4), read::<u32>(self.used + 8));
        if id != 0 || length == 0 || length > BYTES { // 5.4.6.1: at least a byte
            log_line!("the device answered with buffer {}, {} bytes: it is reset", id, length);
            if self.shadow {
                unsafe { sasos_virtio_state(VIRTIO_RESET) };
            } else {
                reset(self.common);
            }
            self.failed = true;
            return;
        }
        self.taken = self.taken.wrapping_add(1);
        unsafe {
            if sasos_entropy_add(self.buffer as usize as *const u8, length) == 0 {
                self.given += length as u64;
            }
            sasos_timer(sasos_time_ns() + INTERVAL_NS);
        }
    }
}

// A domain is entered by one thread at a time, so there is no second reference.
static mut RNG: Option<Rng> = None;

#[no_mangle]
pub extern "C" fn driver_start() -> i32 {
    let mut rng = match Rng::open() {
        Ok(rng) => rng,
        Err(error) => return error,
    };
    rng.ask();
    let start = unsafe { sasos_time_ns() };
    while rng.waiting() && unsafe { sasos_time_ns() } - start < PATIENCE_NS {
        rng.take();
    }
    log_line!("{} bytes of the host's entropy are mixed in", rng.given);
    unsafe { RNG = Some(rng) };
    0
}

#[no_mangle]
pub extern "C" fn driver_event(events: u32) -> i32 {
    if let Some(rng) = unsafe { (*core::ptr::addr_of_mut!(RNG)).as_mut() } {
        rng.take();
        if events & EVENT_TIMER != 0 {
            rng.ask();
        }
    }
    0
}
