;; Counters from below zero start at zero, if their uses cost nothing more for it.
;;passes fold gvn rebase address dead
(module (memory 1)
  (func $to_zero (local i32)
    (local.set 0 (i32.const -400))
    (loop (i32.store (i32.add (local.get 0) (i32.const 1424)) (i32.const 0))
      (br_if 0 (local.tee 0 (i32.add (local.get 0) (i32.const 4))))))
  (func $one_below (local i32) ;; the test is of what the counter is now
    (local.set 0 (i32.const -4))
    (loop (i32.store (i32.add (local.get 0) (i32.const 1028)) (i32.const 0))
      (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 4))) (i32.const 400)))))
  (func $other_use (result i32) (local i32 i32) ;; the sum of them needs them as they are
    (local.set 0 (i32.const -400))
    (loop (i32.store (i32.add (local.get 0) (i32.const 1424)) (i32.const 0))
      (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (br_if 0 (local.tee 0 (i32.add (local.get 0) (i32.const 4)))))
    (local.get 1)))
;;| func 0 $to_zero () -> ()
;;| b0:
;;|     v12 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v3 = i32.phi v12 v9
;;|     v6 = i32.const 0
;;|     store v3 v6 +1024
;;|     v8 = i32.const 4
;;|     v9 = i32.add v3 v8
;;|     v14 = i32.const 400
;;|     v15 = i32.ne v9 v14
;;|     branch v15 b1 b2
;;| b2: preds b1
;;|     return
;;| func 1 $one_below () -> ()
;;| b0:
;;|     v14 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v3 = i32.phi v14 v9
;;|     v6 = i32.const 0
;;|     store v3 v6 +1024
;;|     v8 = i32.const 4
;;|     v9 = i32.add v3 v8
;;|     v10 = i32.const 400
;;|     v11 = i32.ltu v3 v10
;;|     branch v11 b1 b2
;;| b2: preds b1
;;|     return
;;| func 2 $other_use () -> (i32)
;;| b0:
;;|     v14 = i32.const 0
;;|     v1 = i32.const -400
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v3 = i32.phi v14 v9
;;|     v4 = i32.phi v1 v11
;;|     v5 = i32.const 1424
;;|     v6 = i32.add v4 v5
;;|     store v6 v14 +0
;;|     v9 = i32.add v3 v4
;;|     v10 = i32.const 4
;;|     v11 = i32.add v4 v10
;;|     branch v11 b1 b2
;;| b2: preds b1
;;|     return v9
