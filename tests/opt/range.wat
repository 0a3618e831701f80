;; Counters: what a loop's test says about them, seen by which sums become offsets (2000000000 leaves room for 2294967295).
;;passes fold gvn address dead
(module (memory 1)
  (func $up (local i32) ;; 0, 4, … 396
    (loop (i32.store (i32.add (local.get 0) (i32.const 2000000000)) (i32.const 0))
      (br_if 0 (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 4))) (i32.const 400)))))
  (func $past (local i32) ;; 3 does not divide 400: it wraps around
    (loop (i32.store (i32.add (local.get 0) (i32.const 2000000000)) (i32.const 0))
      (br_if 0 (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 3))) (i32.const 400)))))
  (func $down (local i32)
    (local.set 0 (i32.const 400))
    (loop (i32.store (i32.add (local.get 0) (i32.const 2000000000)) (i32.const 0))
      (br_if 0 (local.tee 0 (i32.add (local.get 0) (i32.const -4))))))
  (func $less (param i32) (local i32) ;; signed: below 2^31, whatever the bound
    (loop (i32.store (i32.add (local.get 1) (i32.const 2000000000)) (i32.const 0))
      (br_if 0 (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0)))))
  (func $less_by_2 (param i32) (local i32) ;; may step over the signed end
    (loop (i32.store (i32.add (local.get 1) (i32.const 2000000000)) (i32.const 0))
      (br_if 0 (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 2))) (local.get 0)))))
  (func $another (local i32 i32) ;; a counter without a test turns as often as one with
    (loop (i32.store (i32.add (local.get 1) (i32.const 2000000000)) (i32.const 0))
      (local.set 1 (i32.add (local.get 1) (i32.const 100)))
      (br_if 0 (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000)))))
  (func $endless (local i32 i32) ;; the only test says nothing
    (loop (i32.store (i32.add (local.get 1) (i32.const 2000000000)) (i32.const 0))
      (local.set 1 (i32.add (local.get 1) (i32.const 100)))
      (br_if 0 (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 0x80000000))) (i32.const 1))))))
;;| func 0 $up () -> ()
;;| b0:
;;|     v13 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v2 = i32.phi v13 v8
;;|     store v2 v13 +2000000000
;;|     v7 = i32.const 4
;;|     v8 = i32.add v2 v7
;;|     v9 = i32.const 400
;;|     v10 = i32.ne v8 v9
;;|     branch v10 b1 b2
;;| b2: preds b1
;;|     return
;;| func 1 $past () -> ()
;;| b0:
;;|     v13 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v2 = i32.phi v13 v8
;;|     v3 = i32.const 2000000000
;;|     v4 = i32.add v2 v3
;;|     store v4 v13 +0
;;|     v7 = i32.const 3
;;|     v8 = i32.add v2 v7
;;|     v9 = i32.const 400
;;|     v10 = i32.ne v8 v9
;;|     branch v10 b1 b2
;;| b2: preds b1
;;|     return
;;| func 2 $down () -> ()
;;| b0:
;;|     v1 = i32.const 400
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v3 = i32.phi v1 v9
;;|     v6 = i32.const 0
;;|     store v3 v6 +2000000000
;;|     v8 = i32.const -4
;;|     v9 = i32.add v3 v8
;;|     branch v9 b1 b2
;;| b2: preds b1
;;|     return
;;| func 3 $less (i32) -> ()
;;| b0:
;;|     v1 = i32.param 0
;;|     v13 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v3 = i32.phi v13 v9
;;|     store v3 v13 +2000000000
;;|     v8 = i32.const 1
;;|     v9 = i32.add v3 v8
;;|     v10 = i32.lts v9 v1
;;|     branch v10 b1 b2
;;| b2: preds b1
;;|     return
;;| func 4 $less_by_2 (i32) -> ()
;;| b0:
;;|     v1 = i32.param 0
;;|     v13 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v3 = i32.phi v13 v9
;;|     v4 = i32.const 2000000000
;;|     v5 = i32.add v3 v4
;;|     store v5 v13 +0
;;|     v8 = i32.const 2
;;|     v9 = i32.add v3 v8
;;|     v10 = i32.lts v9 v1
;;|     branch v10 b1 b2
;;| b2: preds b1
;;|     return
;;| func 5 $another () -> ()
;;| b0:
;;|     v16 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v2 = i32.phi v16 v9
;;|     v3 = i32.phi v16 v11
;;|     store v2 v16 +2000000000
;;|     v8 = i32.const 100
;;|     v9 = i32.add v2 v8
;;|     v10 = i32.const 1
;;|     v11 = i32.add v3 v10
;;|     v12 = i32.const 1000
;;|     v13 = i32.ne v11 v12
;;|     branch v13 b1 b2
;;| b2: preds b1
;;|     return
;;| func 6 $endless () -> ()
;;| b0:
;;|     v16 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v2 = i32.phi v16 v9
;;|     v3 = i32.phi v16 v11
;;|     v4 = i32.const 2000000000
;;|     v5 = i32.add v2 v4
;;|     store v5 v16 +0
;;|     v8 = i32.const 100
;;|     v9 = i32.add v2 v8
;;|     v10 = i32.const -2147483648
;;|     v11 = i32.add v3 v10
;;|     v12 = i32.const 1
;;|     v13 = i32.ne v11 v12
;;|     branch v13 b1 b2
;;| b2: preds b1
;;|     return
