;; A WASI command: arguments, environment, standard input and output, clock, random, exit status; bad pointers are errnos.
;; run: --env A=1 --env LONGER=value -- one two
;; in: hello
;; out: wasi.wasm
;; out: A=1
;; out: hello
;; status: 42
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\n")
  (func $must (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
  (func $print (param $at i32) (param $n i32)
    (i32.store (i32.const 16) (local.get $at)) (i32.store (i32.const 20) (local.get $n))
    (i32.store (i32.const 24) (i32.const 0)) (i32.store (i32.const 28) (i32.const 1))
    (call $must (i32.eqz (call $write (i32.const 1) (i32.const 16) (i32.const 2) (i32.const 32))))
    (call $must (i32.eq (i32.load (i32.const 32)) (i32.add (local.get $n) (i32.const 1)))))
  (func $length (param $at i32) (result i32) (local $n i32)
    (loop $next
      (if (i32.load8_u (i32.add (local.get $at) (local.get $n)))
        (then (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $next))))
    (local.get $n))
  (func $base (param $at i32) (result i32) (local $p i32) ;; behind the last slash
    (local.set $p (local.get $at))
    (block $end
      (loop $next
        (br_if $end (i32.eqz (i32.load8_u (local.get $p))))
        (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 47))
          (then (local.set $at (i32.add (local.get $p) (i32.const 1)))))
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (br $next)))
    (local.get $at))
  (func (export "_start") (local $p i32)
    (call $must (i32.eqz (call $args_sizes (i32.const 64) (i32.const 68))))
    (call $must (i32.eq (i32.load (i32.const 64)) (i32.const 3)))
    (call $must (i32.eqz (call $args (i32.const 128) (i32.const 1024))))
    (local.set $p (call $base (i32.load (i32.const 128))))
    (call $print (local.get $p) (call $length (local.get $p)))
    (call $must (i32.eq (i32.load8_u (i32.load (i32.const 136))) (i32.const 116))) ;; "two"
    (call $must (i32.eqz (call $env_sizes (i32.const 64) (i32.const 68))))
    (call $must (i32.eq (i32.load (i32.const 64)) (i32.const 2)))
    (call $must (i32.eq (i32.load (i32.const 68)) (i32.const 17)))
    (call $must (i32.eqz (call $env (i32.const 128) (i32.const 2048))))
    (call $print (i32.load (i32.const 128)) (i32.const 3))
    (i32.store (i32.const 16) (i32.const 4096)) (i32.store (i32.const 20) (i32.const 100))
    (call $must (i32.eqz (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 32))))
    (call $must (i32.eq (i32.load (i32.const 32)) (i32.const 6)))
    (call $print (i32.const 4096) (i32.const 5))
    (call $must (i32.eqz (call $clock (i32.const 1) (i64.const 0) (i32.const 72))))
    (call $must (i64.ne (i64.load (i32.const 72)) (i64.const 0)))
    (call $must (i32.eqz (call $random (i32.const 5000) (i32.const 1000))))
    (call $must (i64.ne (i64.load (i32.const 5400)) (i64.const 0)))
    ;; Nothing is open, and nothing can be opened.
    (call $must (i32.eq (call $prestat (i32.const 3) (i32.const 64)) (i32.const 8)))
    (call $must (i32.eq (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0)
      (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 64)) (i32.const 8)))
    (call $must (i32.eq (call $write (i32.const 7) (i32.const 16) (i32.const 1) (i32.const 32)) (i32.const 8)))
    ;; Pointers outside: fault. Lengths that wrap: fault. Too many vectors: inval.
    (call $must (i32.eq (call $write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 32)) (i32.const 21)))
    (call $must (i32.eq (call $write (i32.const 1) (i32.const 16) (i32.const 0x20000000) (i32.const 32)) (i32.const 28)))
    (i32.store (i32.const 16) (i32.const 65535)) (i32.store (i32.const 20) (i32.const 2))
    (call $must (i32.eq (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)) (i32.const 21)))
    (i32.store (i32.const 20) (i32.const -1))
    (call $must (i32.eq (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)) (i32.const 21)))
    (call $must (i32.eq (call $random (i32.const 65535) (i32.const 2)) (i32.const 21)))
    (call $must (i32.eq (call $args (i32.const 65532) (i32.const 0)) (i32.const 21)))
    (call $must (i32.eq (call $clock (i32.const 99) (i64.const 0) (i32.const 72)) (i32.const 28)))
    (call $exit (i32.const 42))
    unreachable))
