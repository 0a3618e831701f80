;; A loop: PHIs for what is live around it; $dead is written in the loop and not read after, so it has none.
(module
  (memory 1)
  (func $sum (param $n i32) (result i32) (local $i i32) (local $s i32) (local $dead i32)
    (loop $l
      (local.set $dead (local.get $i))
      (local.set $s (i32.add (local.get $s) (i32.load offset=4 (local.get $i))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n))))
    (local.get $s))
  (func $no_branch_back (param i32) (result i32)
    (loop (result i32) (local.set 0 (i32.const 1)) (local.get 0))))
;;| func 0 $sum (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v13 = i32.const 0
;;|     jump b1
;;| b1: preds b0 b1 loop b1 depth 1
;;|     v4 = i32.phi v13 v7
;;|     v5 = i32.phi v13 v9
;;|     v6 = i32.load v5 +4
;;|     v7 = i32.add v4 v6
;;|     v8 = i32.const 4
;;|     v9 = i32.add v5 v8
;;|     v10 = i32.ltu v9 v1
;;|     branch v10 b1 b2
;;| b2: preds b1
;;|     return v7
;;| func 1 $no_branch_back (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 1
;;|     return v2
